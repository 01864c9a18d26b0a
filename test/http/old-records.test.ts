/** Reads of old records, from a real Kafka, and what they start. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { type KafkaConsumeHandler, kafkaConsume } from '../../src/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { range } from '../support/route.ts'
import { until } from '../support/wait.ts'

const RECORDS = 90

let kafka: TestKafka
let topic: string
beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic(3)
  await kafka.produce(
    topic,
    range(0, RECORDS).map((n) => ({ partition: n % 3, value: `${n}` })),
  )
})
afterAll(() => kafka.close())

/** A route and its requests. */
class Mount implements AsyncDisposable {
  readonly route: KafkaConsumeHandler
  readonly #app = new Hono()

  constructor() {
    this.route = kafkaConsume({
      bootstrapServers: kafka.bootstrapServers,
      topics: [topic],
      mode: 'http-get',
      responseFormat: 'records',
    })
    this.#app.get('/', this.route)
  }

  get liveConsumers(): number | undefined {
    return this.route.stats().feed?.liveConsumers
  }

  /** The values of one page, and the query of the next one. */
  async page(query: string): Promise<{ values: string[]; next: string }> {
    const response = await this.#app.request(`/?${query}`)
    expect(response.status).toBe(200)
    const { records } = (await response.json()) as { records: Array<{ value: string }> }
    const next = `cursor=${response.headers.get('kafka-cursor')}`
    return { values: records.map(({ value }) => value), next }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.route.close()
  }
}

describe('a GET of old records', () => {
  test('page after page to the end has each record once, and no live consumer is started', async () => {
    await using mount = new Mount()
    const values: string[] = []
    for (let query = 'start=earliest'; values.length < RECORDS; ) {
      const page = await mount.page(`${query}&max_records=25`)
      values.push(...page.values)
      query = page.next
    }
    expect(values.map(Number).toSorted((a, b) => a - b)).toEqual(range(0, RECORDS))
    expect(mount.liveConsumers).toBe(0)
  })

  test('that waits at the end starts the live consumer, and has the next record', async () => {
    await using mount = new Mount()
    const { next } = await mount.page('start=latest&timeout=0')
    expect(mount.liveConsumers).toBe(0)
    const waiting = mount.page(`${next}&timeout=20000`)
    await until(() => mount.liveConsumers === 1, 'a live consumer')
    await kafka.produce(topic, [{ partition: 1, value: 'new' }])
    expect((await waiting).values).toEqual(['new'])
  })
})
