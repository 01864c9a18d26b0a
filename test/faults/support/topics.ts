import { AdminClient, type LibrdKafkaError } from '@confluentinc/kafka-javascript'
import { until, within } from '../../support/wait.ts'

type Admin = ReturnType<typeof AdminClient.create>
type Done = (error: LibrdKafkaError | null | undefined) => void

/** What an administrator does to topics while they are read. */
export class Topics implements Disposable {
  readonly #admin: Admin

  constructor(brokers: string) {
    this.#admin = AdminClient.create({ 'bootstrap.servers': brokers })
  }

  /** Tries until the broker has forgotten an earlier topic of the name. */
  async create(topic: string, partitions: number): Promise<void> {
    const settings = { topic, num_partitions: partitions, replication_factor: 1 }
    await until(
      () =>
        this.#call((done) => this.#admin.createTopic(settings, 10_000, done)).then(
          () => true,
          () => false,
        ),
      `topic ${topic} to be created`,
      20_000,
    )
  }

  delete(topic: string): Promise<void> {
    return this.#call((done) => this.#admin.deleteTopic(topic, 10_000, done))
  }

  /** @param total How many there are then. */
  addPartitions(topic: string, total: number): Promise<void> {
    return this.#call((done) => this.#admin.createPartitions(topic, total, 10_000, done))
  }

  #call(start: (done: Done) => void): Promise<void> {
    const called = new Promise<void>((resolve, reject) => {
      start((error) => (error ? reject(error) : resolve()))
    })
    return within(called, 'an answer of the broker', 15_000)
  }

  [Symbol.dispose](): void {
    this.#admin.disconnect()
  }
}
