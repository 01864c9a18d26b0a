import { type LibrdKafkaError, Producer } from '@confluentinc/kafka-javascript'
import { NO_TOPICS } from '../../support/kafka.ts'
import { until, within } from '../../support/wait.ts'

/** Milliseconds between two batches. */
const BEAT = 20
/** Records that Kafka has not acknowledged, at most: an outage is not to fill the memory. */
const OUTSTANDING = 20_000

/**
 * Writes records at a steady rate, each once and in order, whatever happens to the brokers
 * (`enable.idempotence`, `acks=all`). Record `n` goes to partition `n % partitions`, so that it has
 * offset `n / partitions` there, and its value is `n`, so that a reader can check it.
 */
export class Writer implements AsyncDisposable {
  readonly topic: string
  readonly partitions: number
  readonly #producer: Producer
  #timer: ReturnType<typeof setInterval> | undefined
  #sent = 0
  #acknowledged = 0
  #failure: Error | undefined

  private constructor(producer: Producer, topic: string, partitions: number) {
    this.#producer = producer
    this.topic = topic
    this.partitions = partitions
    producer.on('delivery-report', (error: LibrdKafkaError | null, report) => {
      const expected = Math.floor(Number(report.opaque) / partitions)
      if (error) this.#failure ??= new Error(`Cannot write: ${error.message}`)
      else if (report.offset !== expected) {
        this.#failure ??= new Error(`Record ${report.opaque} has offset ${report.offset}`)
      }
      this.#acknowledged++
    })
  }

  static async connect(brokers: string, topic: string, partitions: number): Promise<Writer> {
    const producer = new Producer({
      'bootstrap.servers': brokers,
      'enable.idempotence': true,
      'linger.ms': 5,
      'reconnect.backoff.max.ms': 500,
      dr_cb: true,
    })
    const connected = new Promise<void>((resolve, reject) => {
      producer.connect(NO_TOPICS, (error) => (error ? reject(error) : resolve()))
    })
    await within(connected, 'the writer to connect')
    producer.setPollInBackground(true)
    return new Writer(producer, topic, partitions)
  }

  /** Records that Kafka has acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Begins to write, until {@link finish}. */
  start(recordsPerSecond: number): void {
    const began = performance.now()
    const before = this.#sent
    this.#timer = setInterval(() => {
      const due = before + ((performance.now() - began) * recordsPerSecond) / 1_000
      this.#send(Math.min(due, this.#acknowledged + OUTSTANDING))
    }, BEAT)
  }

  #send(count: number): void {
    while (this.#sent < count) {
      const n = this.#sent++
      this.#producer.produce(
        this.topic,
        n % this.partitions,
        Buffer.from(String(n)),
        null,
        Date.now(),
        n,
      )
    }
  }

  /** Resolves when so many records are acknowledged. */
  reaches(count: number, milliseconds = 60_000): Promise<void> {
    return until(
      () => this.#acknowledged >= count,
      () => `${count} records to be acknowledged, ${this.#acknowledged} are`,
      milliseconds,
    )
  }

  /**
   * Stops, and waits until Kafka has acknowledged everything.
   *
   * @returns how many records there are.
   */
  async finish(): Promise<number> {
    clearInterval(this.#timer)
    await this.reaches(this.#sent, 120_000)
    if (this.#failure) throw this.#failure
    return this.#sent
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await within(
      new Promise<void>((resolve) => this.#producer.disconnect(2_000, () => resolve())),
      'the writer to disconnect',
    )
  }
}
