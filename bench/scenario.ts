/** A scenario, and the bench that it runs on. */
import { Child } from './child.ts'
import type { Figure } from './figure.ts'
import type { Compression, Topic, Topics } from './kafka.ts'
import type { Producer } from './programs/producer.ts'
import type { Commands } from './programs/serve.ts'

export interface Scenario {
  readonly name: string
  /** For `--help`. */
  readonly summary: string
  run(bench: Bench): Promise<Figure[]>
}

/** The partitions of every topic. */
export const PARTITIONS = 10

/** A size of values, and the records of one round that suit it. */
export interface Size {
  readonly label: string
  readonly bytes: number
  readonly compression?: Compression
}

export const SIZES: readonly Size[] = [
  { label: '100 B', bytes: 100 },
  { label: '1 KB', bytes: 1000 },
]

/** One run: its Kafka and its processes. */
export class Bench {
  readonly brokers: string
  readonly topics: Topics
  readonly quick: boolean
  readonly notes: string[] = []
  readonly #children = new Set<Child<Commands>>()
  #producer: Child<Producer> | undefined

  constructor(brokers: string, topics: Topics, quick: boolean) {
    this.brokers = brokers
    this.topics = topics
    this.quick = quick
  }

  /** A program of `programs/` in a process of its own, run by Bun if nothing else is named. */
  spawn<C extends Commands>(name: string, runtime?: string): Child<C> {
    const child = new Child<C>(name, runtime)
    this.#children.add(child)
    return child
  }

  /** Ends a process before the end of the run: an idle one still costs a little. */
  async stop(...children: ReadonlyArray<Child<never>>): Promise<void> {
    await Promise.all(
      children.map(async (child) => {
        await child.stop()
        this.#children.delete(child)
      }),
    )
  }

  async stopAll(): Promise<void> {
    await this.stop(...this.#children)
  }

  /**
   * Writes records, evenly over the partitions, as fast as the brokers take them.
   *
   * @param perBatch Default: what makes 100 KB.
   */
  async produce(topic: Topic, records: number, perBatch?: number): Promise<{ seconds: number }> {
    this.#producer ??= this.spawn<Producer>('producer')
    const { name, leaders, valueBytes } = topic
    const asked = { topic: name, leaders, valueBytes, records, perBatch }
    const produced = await this.#producer.ask('produce', asked, 120_000)
    topic.grew(records)
    return produced
  }

  say(text: string): void {
    console.error(text)
  }

  /** Tells also below the table. */
  note(text: string): void {
    this.notes.push(text)
    this.say(`  ${text}`)
  }
}
