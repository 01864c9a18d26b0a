/**
 * Threads of a gateway end in the middle of their work, or are blocked. Their clients come back by themselves, to
 * another thread, and the gateway starts a new one.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { EventSource } from 'eventsource'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { until } from '../support/wait.ts'

const KILLABLE = preload('kill-by-signal.ts')
const BLOCKABLE = preload('block-by-signal.ts')
const CLIENTS = 12
const ROUNDS = 60
const RECORDS_OF_ROUND = 100
const PARTITIONS = 4
const KILLS = 6

setDefaultTimeout(90_000)

let kafka: TestKafka

beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka?.close())

function preload(module: string) {
  return { BUN_OPTIONS: `--preload ${join(import.meta.dirname, '..', 'threads', module)}` }
}

/** The records that a client has got, as `partition/offset`, in the order in which they came. */
class Recorder implements Disposable {
  readonly got: string[] = []
  readonly #source: EventSource

  constructor(url: string) {
    this.#source = new EventSource(url)
    this.#source.addEventListener('message', ({ data }) => {
      const { partition, offset } = JSON.parse(data) as { partition: number; offset: number }
      this.got.push(`${partition}/${offset}`)
    })
  }

  [Symbol.dispose](): void {
    this.#source.close()
  }
}

function produceRound(topic: string, round: number): Promise<unknown> {
  const records = Array.from({ length: RECORDS_OF_ROUND }, (_, index) => {
    return { partition: index % PARTITIONS, value: `${round} ${index}` }
  })
  return kafka.produce(topic, records)
}

/** A gateway of two threads, of which SIGUSR2 ends or blocks one. */
function gatewayOf(topic: string, environment: Record<string, string>) {
  return GatewayProcess.listening(
    ['--brokers', kafka.bootstrapServers, '--topics', topic, '--workers', '2'],
    environment,
  )
}

async function killThread(gateway: GatewayProcess, kills: number): Promise<void> {
  gateway.signal('SIGUSR2')
  await until(
    () => gateway.logged('serves again') >= kills,
    () => `thread ${kills} to be replaced: ${gateway.stderr.slice(-500)}`,
  )
}

describe('threads that end while clients are connected', () => {
  test('a client of npm gets each record once: 0 lost, 0 doubled', async () => {
    const topic = await kafka.createTopic(PARTITIONS)
    const { gateway, url } = await gatewayOf(topic, KILLABLE)
    await using _ = gateway
    const clients = Array.from(
      { length: CLIENTS },
      () => new Recorder(`${url}/stream?start=earliest`),
    )
    try {
      let kills = 0
      let killing = Promise.resolve()
      for (let round = 0; round < ROUNDS; round++) {
        await produceRound(topic, round)
        if (round % (ROUNDS / KILLS) === 0)
          killing = killing.then(() => killThread(gateway, ++kills))
      }
      await killing
      const all = ROUNDS * RECORDS_OF_ROUND
      await until(
        () => clients.every(({ got }) => new Set(got).size >= all),
        () => `${all} records; clients have ${clients.map(({ got }) => new Set(got).size)}`,
        40_000,
      )
      for (const { got } of clients) expect(got).toHaveLength(all)
    } finally {
      for (const client of clients) client[Symbol.dispose]()
    }
  })

  test('another thread serves in the place of one that ended, also while a topic is missing', async () => {
    const { gateway, url } = await gatewayOf(uniqueName('missing'), KILLABLE)
    await using _ = gateway
    await until(
      () => gateway.stderr.includes('Kafka does not have it'),
      () => `the topic to be missed: ${gateway.stderr.slice(-500)}`,
    )
    await killThread(gateway, 1)
    for (let i = 0; i < 2 * CLIENTS; i++) {
      const answer = await fetch(`${url}/healthz`, { headers: { connection: 'close' } })
      expect(answer.status).toBe(200)
    }
  })

  test('records that a group gave to a thread go to the clients of the others: 0 lost', async () => {
    const topic = await kafka.createTopic(PARTITIONS)
    const { gateway, url } = await gatewayOf(topic, KILLABLE)
    await using _ = gateway
    const all = ROUNDS * RECORDS_OF_ROUND
    const got: string[] = []
    let isOver = false
    const read = async () => {
      while (!isOver) {
        const query = 'format=records&max_records=50&timeout=500'
        const answer = await fetch(`${url}/messages?${query}`, { keepalive: false }).catch(
          () => null,
        )
        if (!answer?.ok) continue
        const body = (await answer.json().catch(() => null)) as {
          records: ReadonlyArray<{ partition: number; offset: number }>
        } | null
        for (const { partition, offset } of body?.records ?? []) got.push(`${partition}/${offset}`)
      }
    }
    const readers = Array.from({ length: CLIENTS }, read)
    let kills = 0
    let killing = Promise.resolve()
    for (let round = 0; round < ROUNDS; round++) {
      await produceRound(topic, round)
      if (round % (ROUNDS / KILLS) === 0) killing = killing.then(() => killThread(gateway, ++kills))
    }
    await killing
    await until(
      () => new Set(got).size >= all,
      () => `${all} records; ${new Set(got).size} came`,
      40_000,
    )
    isOver = true
    await Promise.all(readers)
    // A thread may end between the last byte of an answer and its ack: that answer comes again.
    expect(got.length - all).toBeLessThanOrEqual(KILLS * 50)
  })

  test('limits count a thread that has ended no more', async () => {
    const topic = await kafka.createTopic(PARTITIONS)
    const { gateway, url } = await GatewayProcess.listening(
      [
        ...['--brokers', kafka.bootstrapServers, '--topics', topic, '--workers', '2'],
        ...['--max-subscribers', '4'],
      ],
      KILLABLE,
    )
    await using _ = gateway
    const open = () => fetch(`${url}/stream`, { headers: { connection: 'close' } })
    const answers = await Promise.all(Array.from({ length: 4 }, open))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect((await open()).status).toBe(503)
    for (const kill of [1, 2]) await killThread(gateway, kill)
    await until(async () => {
      const answer = await open().catch(() => undefined)
      return answer?.status === 200
    }, 'a place')
  })

  test('a thread in an endless loop is replaced, and its clients get each record once', async () => {
    const topic = await kafka.createTopic(PARTITIONS)
    const { gateway, url } = await gatewayOf(topic, BLOCKABLE)
    await using _ = gateway
    const clients = Array.from(
      { length: CLIENTS },
      () => new Recorder(`${url}/stream?start=earliest`),
    )
    try {
      const untilAll = (all: number) =>
        until(
          () => clients.every(({ got }) => new Set(got).size >= all),
          () => `${all} records; clients have ${clients.map(({ got }) => new Set(got).size)}`,
          60_000,
        )
      await produceRound(topic, 0)
      await untilAll(RECORDS_OF_ROUND)
      gateway.signal('SIGUSR2')
      await produceRound(topic, 1)
      await until(
        () => gateway.logged('serves again') === 1,
        () => `the thread to be replaced: ${gateway.stderr.slice(-500)}`,
        60_000,
      )
      expect(gateway.stderr).toContain('Thread 0 has been blocked for 15 s: it is ended')
      await produceRound(topic, 2)
      await untilAll(3 * RECORDS_OF_ROUND)
      for (const { got } of clients) expect(got).toHaveLength(3 * RECORDS_OF_ROUND)
      // Each connection is answered again, whichever thread it reaches.
      for (let i = 0; i < 2 * CLIENTS; i++) {
        const answer = await fetch(`${url}/healthz`, { headers: { connection: 'close' } })
        expect(answer.status).toBe(200)
      }
    } finally {
      for (const client of clients) client[Symbol.dispose]()
    }
  })
})
