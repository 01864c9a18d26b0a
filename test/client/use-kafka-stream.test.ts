/** The hook of the package's client, on hooks of the test's own and answers that it chooses. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { hc } from 'hono/client'
import type { StandardSchema, StreamRoute } from '../../src/client/index.ts'
import {
  type AnyStreamOptions,
  type KafkaStreamState,
  useStreamBy as readStreamBy,
  type ViewHooks,
} from '../../src/client/use-kafka-stream.ts'
import { sleep, until } from '../support/wait.ts'
import { event, silence } from './answers.ts'

let server: Bun.Server<undefined>
/** The answer to each path. */
let bodies: Record<string, string> = {}

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch(request) {
      const { pathname, searchParams } = new URL(request.url)
      return silence(bodies[`${pathname}${searchParams.get('end') ?? ''}`] ?? '')(request)
    },
  })
})
afterAll(() => server.stop(true))

/** A component that shows a stream, by the least of a view library. */
class Component implements Disposable {
  state: KafkaStreamState<{ readonly value: unknown }> | undefined
  #dependencies: readonly unknown[] | undefined
  #cleanUp: (() => void) | undefined
  #effect: (() => () => void) | undefined

  readonly #hooks: ViewHooks = {
    useState: <State>(initial: State) => {
      this.state ??= initial as never
      const setState = (change: State | ((before: State) => State)) => {
        const next = change instanceof Function ? change(this.state as unknown as State) : change
        this.state = next as never
      }
      return [this.state as unknown as State, setState] as const
    },
    useEffect: (effect, dependencies) => {
      if (String(dependencies) === String(this.#dependencies)) return
      this.#dependencies = dependencies
      this.#effect = effect
    },
  }

  render(given: string | StreamRoute, options: AnyStreamOptions = {}): void {
    const source = typeof given === 'string' ? new URL(given, server.url) : given
    readStreamBy(this.#hooks, source, options)
    const effect = this.#effect
    this.#effect = undefined
    if (!effect) return
    this.#cleanUp?.()
    this.#cleanUp = effect()
  }

  get values(): unknown[] {
    return this.state?.records.map(({ value }) => value) ?? []
  }

  [Symbol.dispose](): void {
    this.#cleanUp?.()
  }
}

/** A schema whose answers wait until the test lets them go. */
function heldSchema() {
  const held: Array<() => void> = []
  const schema: StandardSchema = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: async (value: unknown) => {
        await new Promise<void>((resolve) => held.push(resolve))
        return { value }
      },
    },
  }
  return { schema, held }
}

test('a record that its schema accepts after the address has changed is not shown', async () => {
  bodies = { '/old': event(0, 'old'), '/new': event(0, 'new') }
  const { schema, held } = heldSchema()
  using component = new Component()
  component.render('/old', { schema })
  await until(() => held.length === 1, 'the schema to be asked')
  component.render('/new')
  held[0]?.()
  await until(() => component.values.includes('new'), 'the record of the new address')
  // Records are collected for 50 ms before they are shown.
  await sleep(150)
  expect(component.values).toEqual(['new'])
})

test('a record that its schema accepts after the component has gone starts no timer', async () => {
  bodies = { '/old': event(0, 'old') }
  const { schema, held } = heldSchema()
  const component = new Component()
  component.render('/old', { schema })
  await until(() => held.length === 1, 'the schema to be asked')
  component[Symbol.dispose]()
  const last = component.state
  held[0]?.()
  await sleep(150)
  expect(component.state).toBe(last as never)
})

test('a stream that has ended shows its last records and the status ended; another end starts it again', async () => {
  bodies = {
    '/orders1': `${event(0, 'first')}event: end\ndata: {}\nid: orders:0=1\n\n`,
    '/orders2': event(0, 'second'),
  }
  using component = new Component()
  component.render('/orders', { end: '1' })
  await until(() => component.state?.status === 'ended', 'the end')
  expect(component.values).toEqual(['first'])
  component.render('/orders', { end: '2' })
  expect(component.state).toMatchObject({ records: [], status: 'connecting' })
  await until(() => component.values.length === 1, 'a record')
  expect(component.values).toEqual(['second'])
  expect(component.state?.status).toBe('open')
})

test('a route of hc starts the stream again with other path parameters, and not with each render', async () => {
  const app = new Hono().get('/:shop/live', (c) => c.text(''))
  // Each render gets another object of `hc`.
  const live = () => hc<typeof app>(server.url.href)[':shop'].live as unknown as StreamRoute
  bodies = { '/berlin/live': event(0, 'berlin'), '/rome/live': event(0, 'rome') }
  using component = new Component()
  component.render(live(), { param: { shop: 'berlin' } })
  await until(() => component.values.length === 1, 'a record')
  component.render(live(), { param: { shop: 'berlin' } })
  expect(component.values).toEqual(['berlin'])
  component.render(live(), { param: { shop: 'rome' } })
  await until(() => component.values.includes('rome'), 'the record of the other route')
  expect(component.values).toEqual(['rome'])
  component.render(live())
  await until(() => component.state?.status === 'failed', 'the refusal')
  expect(component.state?.error).toMatchObject({ name: 'TypeError' })
})
