/** The arguments of the package's client, and the size of its code. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { gzipSync } from 'bun'
import { Hono } from 'hono'
import { hc } from 'hono/client'
import {
  type RouteParameters,
  type StreamRoute,
  sharedStream,
  socket,
  stream,
} from '../../src/client/index.ts'
import { within } from '../support/wait.ts'

const root = join(import.meta.dirname, '..', '..')

let server: Bun.Server<undefined>
let paths: string[] = []

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch({ url }) {
      paths.push(new URL(url).pathname)
      // There are no more records.
      return new Response(null, { status: 204 })
    },
  })
})
afterAll(() => server.stop(true))

test('a bundle with `stream` alone, minified and compressed, has 4 KiB at most', async () => {
  const entry = join(root, 'src/client/stream-only.ts')
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    files: { [entry]: "export { stream } from './index.ts'" },
    minify: true,
    target: 'browser',
  })
  const code = await outputs[0]?.arrayBuffer()
  expect(gzipSync(new Uint8Array(code ?? new ArrayBuffer())).length).toBeWithin(1, 4_097)
})

test.each<[string, unknown, object, string]>([
  ['a URL that is relative to no page', 'x', {}, 'the URL is not valid'],
  ['no URL', undefined, {}, 'a URL, or a route of hc, is required'],
  ['a number for a URL', 5, {}, 'a URL, or a route of hc, is required'],
  ['headers that are a number', 'http://127.0.0.1:1/', { headers: 5 }, 'the headers are not'],
  [
    'a header that no request may have',
    'http://127.0.0.1:1/',
    { headers: { Authorization: 'planted\nsecret' } },
    'the headers are not',
  ],
  [
    'a timeout that is text',
    'http://127.0.0.1:1/',
    { silenceTimeout: 'soon' },
    'silenceTimeout must be milliseconds',
  ],
])('%s is refused at once by name', async (_, url, options, state) => {
  const reading = stream(url as string, { ...options, signal: AbortSignal.timeout(10_000) })
  const error = await reading.next().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(TypeError)
  expect((error as Error).message).toStartWith(`Cannot read the stream: ${state}`)
  expect((error as Error).message).not.toContain('planted')
})

test('limits of a socket out of their range are refused at once by name', async () => {
  const url = 'http://127.0.0.1:1/'
  for (const [options, state] of [
    [{ acks: true, maxUnacked: -1 }, 'maxUnacked must be a number from 1 to 10000'],
    [{ maxWaiting: 0 }, 'maxWaiting must be a number from 1'],
  ] as const) {
    const error = await socket(url, options)
      .next()
      .catch((thrown: unknown) => thrown)
    expect((error as Error).message).toBe(`Cannot read the stream: ${state}`)
  }
})

describe('a route of hc', () => {
  const app = new Hono().get('/:shop/:kind?/live', (c) => c.text(''))
  const live = () => hc<typeof app>(server.url.href)[':shop'][':kind?'].live as never
  const readers = [
    (options: RouteParameters) => stream<StreamRoute>(live(), options),
    (options: RouteParameters) => sharedStream<StreamRoute>(live(), options),
  ]

  test.each<[Record<string, string>, string]>([
    [{ shop: 'berlin', kind: 'orders' }, '/berlin/orders/live'],
    [{ shop: 'berlin', kind: '' }, '/berlin/live'],
  ])('with the path parameters %j is read at %s', async (param, path) => {
    paths = []
    for (const read of readers) {
      await within(read({ param }).next(), 'the end of the stream')
    }
    expect(paths).toEqual([path, path])
  })

  test.each<[Record<string, string> | undefined, string]>([
    [undefined, '/:shop/:kind'],
    [{ shop: 'berlin' }, '/berlin/:kind'],
    [{ kind: 'orders' }, '/:shop/orders/live'],
  ])('with the path parameters %j is refused, since one is missing', async (param, path) => {
    paths = []
    for (const read of readers) {
      const reading = read({ ...(param && { param }) }).next()
      const error = await within(
        reading.catch((thrown: unknown) => thrown),
        'the refusal',
      )
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toBe(`Cannot read the stream: ${path} needs a param`)
    }
    expect(paths).toEqual([])
  })
})
