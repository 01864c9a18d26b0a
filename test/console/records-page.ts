/** The console's view of records in a real browser, on a gateway in a process of its own and a real Kafka. */
import type { Page } from 'playwright-core'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka, type TestRecord } from '../support/kafka.ts'
import { until, within } from '../support/wait.ts'

const PATIENCE = 45_000
/** A named filter of the gateway. */
const FILTERS = ['--filters', '{"dear":"value.total > 100"}']

export class RecordsPage implements AsyncDisposable {
  /** The topic of the present test. */
  topic = ''
  gateway: GatewayProcess
  readonly url: string
  readonly browser: Browser
  readonly kafka: TestKafka
  readonly #topics: string[]

  private constructor(
    kafka: TestKafka,
    topics: string[],
    started: { gateway: GatewayProcess; url: string },
    browser: Browser,
  ) {
    this.kafka = kafka
    this.#topics = topics
    this.gateway = started.gateway
    this.url = started.url
    this.browser = browser
  }

  /** @param tests The number of tests, of which each has a topic of its own. */
  static async start(tests: number): Promise<RecordsPage> {
    const kafka = await TestKafka.real()
    const config = { 'message.timestamp.after.max.ms': String(2n ** 63n - 1n) }
    const topics = await Promise.all(
      Array.from({ length: tests }, () => kafka.createTopic(2, 1, undefined, config)),
    )
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topics.join(), ...FILTERS]
    const started = await GatewayProcess.listening(flags)
    const isReady = async () => (await fetch(`${started.url}/readyz`)).status === 200
    await until(isReady, 'readiness')
    return new RecordsPage(kafka, topics, started, await Browser.start())
  }

  get page(): Page {
    return this.browser.page
  }

  /** Gives the next test a topic. */
  nextTopic(): void {
    this.browser.errors.length = 0
    this.topic = this.#topics.pop() as string
  }

  /** Ends the gateway, and starts it again on its port after some work. */
  async restart(meanwhile: () => Promise<unknown>): Promise<void> {
    const { port } = new URL(this.url)
    this.gateway.signal('SIGTERM')
    await this.gateway.exited(PATIENCE)
    await meanwhile()
    const topics = [this.topic, ...this.#topics].join()
    const flags = [
      '--brokers',
      this.kafka.bootstrapServers,
      '--topics',
      topics,
      '--port',
      port,
      ...FILTERS,
    ]
    this.gateway = (await GatewayProcess.listening(flags)).gateway
  }

  /** Opens the view of the test's topic. */
  async open(query = ''): Promise<void> {
    await this.page.goto(`${this.url}/?topic=${this.topic}${query}`)
    await this.page.locator('#topic option').first().waitFor({ state: 'attached' })
  }

  produce(...records: TestRecord[]): Promise<unknown> {
    return this.kafka.produce(
      this.topic,
      records.map((record) => ({ partition: 0, ...record })),
    )
  }

  /** Values of the rows that can be seen, in the order of the list. */
  shown(): Promise<string[]> {
    return shownIn(this.page)
  }

  async untilShown(wanted: readonly string[]): Promise<void> {
    let last: string[] = []
    await until(
      async () => {
        last = await this.shown()
        return JSON.stringify(last) === JSON.stringify(wanted)
      },
      () => `rows ${JSON.stringify(wanted)}; they are ${JSON.stringify(last)}`,
      PATIENCE,
    )
  }

  async untilFirst(value: string): Promise<void> {
    let last: string[] = []
    await until(
      async () => {
        last = await this.shown()
        return last[0] === value
      },
      () => `the first row ${value}; it is ${last[0]}`,
      PATIENCE,
    )
  }

  async untilState(state: string): Promise<void> {
    await this.page.locator(`#state[data-state=${state}]`).waitFor({ timeout: PATIENCE })
  }

  async search(text: string, find = 'text'): Promise<void> {
    await this.page.selectOption('#find', find)
    await this.page.fill('#search', text)
    await this.page.press('#search', 'Enter')
  }

  openRow(text: string): Promise<void> {
    return this.page.locator('.row', { hasText: text }).click()
  }

  clipboard(): Promise<string> {
    return this.page.evaluate(() => navigator.clipboard.readText())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser[Symbol.asyncDispose]()
    await this.kafka.close()
    await this.gateway.kill()
  }
}

/** Values of the rows of a page's list that can be seen, in the order of the list. */
export function shownIn(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll('#rows > li')]
      .sort((a, b) => Number(a.ariaPosInSet) - Number(b.ariaPosInSet))
      .map((row) => row.querySelector('.value')?.textContent ?? ''),
  )
}

export function numbered(count: number): TestRecord[] {
  return Array.from({ length: count }, (_, n) => ({ key: `k${n % 10}`, value: `value ${n}` }))
}

/** The output of a copied command, which may not end by itself. */
export function outputOf(command: string): Promise<string> {
  const child = Bun.spawn(['sh', '-c', `${command} -s --max-time 2`], { stdout: 'pipe' })
  return within(new Response(child.stdout).text(), 'the command')
}
