/** The examples that are servers on Bun, run as their first lines say. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { SseClient, type StreamedRecord } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'

/** One example in a process of its own, beside a topic with orders of two countries. */
class Example implements AsyncDisposable {
  said = ''
  readonly kafka: TestKafka
  readonly topic: string
  readonly #child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>

  private constructor(
    kafka: TestKafka,
    topic: string,
    name: string,
    environment: Record<string, string>,
  ) {
    this.kafka = kafka
    this.topic = topic
    const path = join(import.meta.dirname, '../../examples', name)
    const { PATH = '', HOME = '' } = process.env
    this.#child = Bun.spawn([process.execPath, path], {
      env: {
        ...{ PATH, HOME, PORT: '0' },
        ...{ KAFKA_BROKERS: kafka.bootstrapServers, KAFKA_TOPICS: topic },
        ...environment,
      },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      void (async () => {
        for await (const chunk of output) this.said += new TextDecoder().decode(chunk)
      })()
    }
  }

  static async run(name: string, environment: Record<string, string>): Promise<Example> {
    const kafka = await TestKafka.real()
    const topic = await kafka.createTopic()
    const countries = ['SE', 'NO', 'SE', 'DK']
    await kafka.produce(
      topic,
      countries.map((country, partition) => ({ partition, value: JSON.stringify({ country }) })),
    )
    return new Example(kafka, topic, name, environment)
  }

  async url(): Promise<string> {
    const address = () => /http:\/\/\S+:\d+\S*/.exec(this.said)?.[0]
    await until(
      () => address() !== undefined,
      () => `an address in: ${this.said}`,
      30_000,
    )
    return address() as string
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM')
    try {
      expect(await within(this.#child.exited, 'its exit')).toBe(0)
    } finally {
      this.#child.kill('SIGKILL')
      await this.kafka.close()
    }
  }
}

test('behind bearer authentication each client sees the records of its scope', async () => {
  await using example = await Example.run('clients.ts', { SWEDEN_KEY: 'one', ALL_KEY: 'other' })
  const url = await example.url()
  const ask = (key: string, query = '') =>
    fetch(`${url}${query}`, { headers: { authorization: `Bearer ${key}` } })
  const countries = (records: readonly StreamedRecord[]) =>
    records.map(({ value }) => (value as unknown as { country: string }).country).sort()

  expect((await fetch(url)).status).toBe(401)
  expect((await ask('wrong')).status).toBe(401)
  for (const [key, expected] of [
    ['one', ['SE', 'SE']],
    ['other', ['DK', 'NO', 'SE', 'SE']],
  ] as const) {
    const { records } = (await (await ask(key, '?start=earliest')).json()) as {
      records: StreamedRecord[]
    }
    expect(countries(records)).toEqual([...expected])
    const asGroup: StreamedRecord[] = []
    await until(
      async () => {
        const answer = (await (await ask(key)).json()) as { records: StreamedRecord[] }
        asGroup.push(...answer.records)
        return asGroup.length >= expected.length
      },
      `the records of ${key} as a group of its own`,
      20_000,
    )
    expect(countries(asGroup)).toEqual([...expected])
  }
  await using stream = await SseClient.open(`${url}?start=earliest`, {
    headers: { authorization: 'Bearer one' },
  })
  await until(() => stream.records().length === 2, 'two records by a stream')
  expect(countries(stream.records())).toEqual(['SE', 'SE'])
}, 90_000)

test('a format of the app’s own applies to every kind of read', async () => {
  await using example = await Example.run('format.ts', {})
  const url = `${await example.url()}?start=earliest`
  const answer = (await (await fetch(url)).json()) as Array<Record<string, unknown>>
  await using stream = await SseClient.open(url, { headers: { accept: 'text/event-stream' } })
  await until(() => stream.records().length === 4, 'four records by a stream')
  for (const shown of [answer, stream.records() as unknown as typeof answer]) {
    const features = shown.filter(({ type }) => type === 'Feature')
    expect(features.map(({ properties }) => (properties as { country: string }).country)).toEqual(
      expect.arrayContaining(['SE', 'SE', 'NO']),
    )
    expect(features[0]).toHaveProperty('geometry.coordinates')
    // Denmark is not on the map: the record is shown whole.
    expect(shown.filter(({ type }) => type !== 'Feature')).toMatchObject([
      { value: { country: 'DK' }, error: { code: 'FORMAT_FAILED' } },
    ])
  }
}, 120_000)

test('a page in a browser follows a topic, once its reader has logged in', async () => {
  await using example = await Example.run('browser.ts', { PASSWORD: 'open sesame' })
  const url = await example.url()
  await using browser = await Browser.start()
  const { page } = browser
  await page.goto(url)
  const state = (text: string) =>
    page.locator('#state', { hasText: text }).waitFor({ timeout: 15_000 })
  await state('log in to read')
  await page.fill('input[name=password]', 'wrong')
  await page.click('button')
  await page.waitForURL('**/?wrong')
  await state('log in to read')
  await page.fill('input[name=password]', 'open sesame')
  await page.click('button')
  await state('following')
  const items = page.locator('#records li')
  await until(async () => (await items.count()) === 4, 'the four records that are there')
  await example.kafka.produce(example.topic, [{ partition: 0, value: '<b>one more</b>' }])
  await until(async () => (await items.count()) === 5, 'a record as it comes')
  expect(await items.first().textContent()).toContain('<b>one more</b>')
}, 120_000)
