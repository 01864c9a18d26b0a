/** `sharedStream` of the package's client in one process, whose loops stand for tabs of a browser. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { type SharedStreamOptions, sharedStream } from '../../src/client/index.ts'
import { TabChannel, TabLocks } from '../support/tabs.ts'
import { sleep, until, within } from '../support/wait.ts'
import { event, OpenAnswer } from './answers.ts'

let server: Bun.Server<undefined>
let answer: (request: Request) => Response
let requests: URLSearchParams[]
let locks: TabLocks
let channels: Disposable

beforeEach(() => {
  requests = []
  locks = new TabLocks()
  channels = TabChannel.install()
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch(request) {
      requests.push(new URL(request.url).searchParams)
      return answer(request)
    },
  })
})
afterEach(async () => {
  locks[Symbol.dispose]()
  channels[Symbol.dispose]()
  await server.stop(true)
})

const CURSOR = 'event: cursor\ndata: {"cursor":"orders:0=0"}\nid: orders:0=0\n\n'
const END = 'event: end\ndata: {"cursor":"orders:0=2"}\nid: orders:0=2\n\n'

/** A tab: a loop that notes what it gets. */
class Tab {
  readonly offsets: number[] = []
  hasPosition = false
  readonly #abort = new AbortController()
  readonly done: Promise<unknown>

  constructor(options: SharedStreamOptions = {}) {
    this.done = this.#read(options).catch((error: unknown) => error)
  }

  leave(): void {
    this.#abort.abort(new Error('left'))
  }

  async #read(options: SharedStreamOptions): Promise<void> {
    const own: SharedStreamOptions = {
      ...options,
      signal: this.#abort.signal,
      onCursor: () => {
        this.hasPosition = true
      },
    }
    for await (const { offset } of sharedStream(server.url, own)) this.offsets.push(offset)
  }
}

test('the end of a shared stream ends the loops of all its tabs', async () => {
  const events = new OpenAnswer()
  answer = () => (requests.length === 1 ? events.response : new Response(null, { status: 204 }))
  const tabs = [new Tab({ end: 'orders:0=2' })]
  await until(() => requests.length === 1, 'the connection')
  tabs.push(new Tab({ end: 'orders:0=2' }))
  events.write(CURSOR)
  await until(() => tabs.every(({ hasPosition }) => hasPosition), 'the position of each tab')
  events.write(event(0) + event(1) + END)
  for (const { done, offsets } of tabs) {
    expect(await within(done, 'the end of the loop', 5_000)).toBeUndefined()
    expect(offsets).toEqual([0, 1])
  }
  expect(requests).toHaveLength(1)
})

describe('tabs that read by headers', () => {
  const as = (user: string, group?: string): SharedStreamOptions => ({
    headers: { Authorization: user },
    ...(group && { group }),
  })

  test('share with tabs of their group only', async () => {
    const streams = new Map<string | null, OpenAnswer>()
    answer = ({ headers }) => {
      const events = new OpenAnswer()
      streams.set(headers.get('Authorization'), events)
      events.write(CURSOR)
      return events.response
    }
    const tabs = [
      new Tab(as('ann', 'ann')),
      new Tab(as('ann', 'ann')),
      new Tab(as('bob', 'bob')),
    ] as const
    await until(() => tabs.every(({ hasPosition }) => hasPosition), 'the position of each tab')
    streams.get('ann')?.write(event(0))
    streams.get('bob')?.write(event(1))
    await until(() => tabs.every(({ offsets }) => offsets.length > 0), 'a record in each tab')
    expect(tabs.map(({ offsets }) => offsets)).toEqual([[0], [0], [1]])
    expect(requests).toHaveLength(2)
    for (const tab of tabs) tab.leave()
  })

  test.each<[string, SharedStreamOptions]>([
    ['headers', as('ann')],
    ['a fetch of their own', { fetch: (url, init) => fetch(url, init) }],
  ])('are refused without a group: %s', async (_, options) => {
    const error = await within(new Tab(options).done, 'the refusal', 5_000)
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toContain('need a group')
    expect(requests).toHaveLength(0)
  })
})

test('tabs go on without a leader that is suspended, which loses and repeats nothing when it goes on', async () => {
  const connections: OpenAnswer[] = []
  const given: Array<string | null> = []
  answer = ({ url }) => {
    const connection = new OpenAnswer()
    connections.push(connection)
    given.push(new URL(url).searchParams.get('cursor'))
    if (connections.length === 1) connection.write(CURSOR)
    return connection.response
  }
  const options = { silenceTimeout: 1_000 }
  const leader = new Tab(options)
  await until(() => leader.hasPosition, 'the position of the leader')
  const [channel] = TabChannel.all
  const tabs = [leader, new Tab(options), new Tab(options)]
  await until(() => tabs.every(({ hasPosition }) => hasPosition), 'the position of each tab')
  connections[0]?.write(event(0))
  await until(() => tabs.every(({ offsets }) => offsets.length === 1), 'the first record')

  channel?.suspend()
  // The server goes on sending to the leader, which does not pass anything on.
  const heartbeat = setInterval(() => connections[0]?.write(': \n\n'), 200)
  await until(() => connections.length === 2, 'another connection', 15_000)
  clearInterval(heartbeat)
  expect(given).toEqual([null, 'orders:0=1'])
  connections[1]?.write(event(1) + event(2))
  await until(() => tabs.slice(1).every(({ offsets }) => offsets.length === 3), 'the records')
  channel?.resume()
  await until(() => leader.offsets.length === 3, 'the records of the former leader')
  connections[1]?.write(event(3))
  await until(() => tabs.every(({ offsets }) => offsets.length === 4), 'a further record')
  for (const { offsets } of tabs) expect(offsets).toEqual([0, 1, 2, 3])
  expect(connections).toHaveLength(2)
  for (const tab of tabs) tab.leave()
}, 30_000)

test('a leader that has nothing to tell is left in its place', async () => {
  const connection = new OpenAnswer()
  answer = () => connection.response
  const options = { silenceTimeout: 1_000 }
  const tabs = [new Tab(options), new Tab(options), new Tab(options)]
  const heartbeat = setInterval(() => connection.write(': \n\n'), 200)
  connection.write(CURSOR)
  // Beyond the time in which a follower replaces a leader that does not answer.
  await sleep(6_000)
  clearInterval(heartbeat)
  expect(requests).toHaveLength(1)
  for (const tab of tabs) tab.leave()
}, 30_000)
