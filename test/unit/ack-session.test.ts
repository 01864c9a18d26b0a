import { describe, expect, test } from 'bun:test'
import type { WSContext } from 'hono/ws'
import { Route } from '../../src/http/route/route.ts'
import { AckSession } from '../../src/http/stream/ack-session.ts'
import { SocketWriter } from '../../src/http/stream/socket-writer.ts'
import { resolveOptions } from '../../src/options/consume-options.ts'
import type { Delivery, GroupSession } from '../../src/port/kafka.ts'
import { collectLog, messagesOf } from '../support/log.ts'
import { until, within } from '../support/wait.ts'

const logged = collectLog()

/** A session of one client, whose group has one record. */
class Setup {
  readonly route: Route
  /** How the delivery of the record has ended. */
  readonly ended: string[] = []
  /** How the server has ended the connection. */
  readonly cuts: string[] = []
  /** Bytes that the client has not read. */
  buffered = 0

  constructor(writeDeadline = 60_000) {
    const options = { bootstrapServers: 'localhost:9092', topics: ['t'], writeDeadline }
    this.route = new Route(resolveOptions({ ...options, mode: 'websocket' }))
    this.route.group = async () => this.#group()
  }

  /**
   * Runs a session until it has sent the record.
   *
   * @param send Called with each frame.
   */
  async run(send: () => void = () => {}): Promise<AckSession> {
    const sent = Promise.withResolvers<void>()
    const session = await AckSession.open(
      this.route,
      {},
      { acks: true, maxUnacked: 10, wanted: undefined },
    )
    const raw = {
      send: () => {
        sent.resolve()
        send()
      },
      getBufferedAmount: () => this.buffered,
      terminate: () => this.cuts.push('cut'),
    }
    const socket = { raw, close: (code: number) => this.cuts.push(String(code)) }
    void session.run(new SocketWriter(socket as unknown as WSContext)).catch(() => {})
    await sent.promise
    return session
  }

  #group(): GroupSession {
    const deliveries = [this.#delivery()]
    const group: Pick<GroupSession, 'pollNow' | 'poll'> = {
      pollNow: () => deliveries.pop(),
      poll: (_, leaving) =>
        new Promise((_, reject) => {
          leaving?.signal.addEventListener('abort', () => reject(new Error('the client left')))
        }),
    }
    return group as GroupSession
  }

  #delivery(): Delivery {
    const record = { topic: 't', partition: 0, offsets: Float64Array.of(5), begin: 0, end: 1 }
    const delivery: Partial<Delivery> = {
      length: 1,
      bytes: 12,
      runs: [record],
      decodeRecords: () => [],
      gaps: [],
      partitions: [],
      body: new TextEncoder().encode('{"offset":5}'),
      ack: () => this.ended.push('acked'),
      requeue: () => this.ended.push('requeued'),
    }
    return delivery as Delivery
  }
}

describe('a session with acknowledgements whose client reads nothing', () => {
  test('is cut off after writeDeadline, and its records are requeued', async () => {
    const setup = new Setup(100)
    setup.buffered = 1024 * 1024
    await setup.run()
    await until(() => setup.ended.length > 0, 'the record to be requeued', 5_000)
    expect([setup.cuts, setup.ended]).toEqual([['cut'], ['requeued']])
    const { silent, subscribers } = setup.route.stats()
    expect([silent, subscribers]).toEqual([1, 0])
  })

  test('delays the end of its route by 2 s, and its records are requeued', async () => {
    const setup = new Setup()
    setup.buffered = 1024 * 1024
    const session = await setup.run()
    await within(session.end(), 'the end of the session', 5_000)
    expect([setup.cuts, setup.ended]).toEqual([['1001'], ['requeued']])
    expect(setup.route.stats().subscribers).toBe(0)
  })
})

test('a session with acknowledgements whose socket fails is cut off, and leaves nothing behind', async () => {
  const setup = new Setup()
  const session = await setup.run(() => {
    throw new Error('the socket is broken')
  })
  await until(() => setup.ended.length > 0, 'the record to be requeued', 5_000)
  await within(session.end(), 'the end of the session', 5_000)
  expect([setup.cuts, setup.ended]).toEqual([['cut'], ['requeued']])
  expect(setup.route.stats().subscribers).toBe(0)
  expect(messagesOf(logged)).toEqual(['Cannot write to a WebSocket: Error: the socket is broken'])
})
