import { type LibrdKafkaError, type Metadata, Producer } from '@confluentinc/kafka-javascript'
import { NO_TOPICS } from './kafka.ts'
import { uniqueName } from './names.ts'
import { within } from './wait.ts'

const LIMIT_MS = 20_000

/** A transactional producer. What it writes belongs to the transaction that is open. */
export class TransactionalWriter implements AsyncDisposable {
  readonly #producer: Producer

  private constructor(producer: Producer) {
    this.#producer = producer
  }

  static async connect(bootstrapServers: string): Promise<TransactionalWriter> {
    const producer = new Producer({
      'bootstrap.servers': bootstrapServers,
      'transactional.id': uniqueName('writer'),
      'linger.ms': 0,
      dr_cb: true,
    })
    const writer = new TransactionalWriter(producer)
    await settled<Metadata>('connect', (done) => producer.connect(NO_TOPICS, done))
    producer.setPollInBackground(true)
    await settled('begin', (done) => producer.initTransactions(LIMIT_MS, done))
    return writer
  }

  begin(): Promise<void> {
    return settled('begin a transaction', (done) => this.#producer.beginTransaction(done))
  }

  /** Writes to partition 0; resolves when Kafka has all of it, decided or not. */
  async write(topic: string, values: readonly string[]): Promise<void> {
    for (const value of values) this.#producer.produce(topic, 0, Buffer.from(value))
    await settled('write', (done) => this.#producer.flush(LIMIT_MS, done))
  }

  commit(): Promise<void> {
    return settled('commit', (done) => this.#producer.commitTransaction(LIMIT_MS, done))
  }

  abort(): Promise<void> {
    return settled('abort', (done) => this.#producer.abortTransaction(LIMIT_MS, done))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await settled<unknown>('disconnect', (done) => this.#producer.disconnect(done))
  }
}

function settled<T = void>(
  what: string,
  run: (done: (error?: LibrdKafkaError | null, value?: T) => void) => void,
): Promise<T> {
  const result = new Promise<T>((resolve, reject) => {
    run((error, value) => {
      if (error) reject(new Error(`Cannot ${what}: ${error.message}`, { cause: error }))
      else resolve(value as T)
    })
  })
  return within(result, `a transactional producer to ${what}`, LIMIT_MS)
}
