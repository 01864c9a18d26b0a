import type { PartitionRange, RouteStats } from '../http/route/route.ts'
import type { PartitionPosition } from '../port/kafka.ts'

/** A handler of `kafkaConsume`, as far as it tells of itself. */
export interface Observed {
  /** Statistics of the route. */
  stats(): RouteStats
  /** The offsets of each partition of its topics. */
  partitions(): Promise<readonly PartitionRange[]>
}

/** A handler, and what it just told of itself. */
export interface Asked {
  readonly handler: Observed
  readonly stats: RouteStats
}

/**
 * Records that a group has not delivered yet. A member that nobody asks fetches nothing, and so
 * does not see the end move: what Kafka says of it counts.
 */
export function lagOf(
  { topic, partition, next, end }: PartitionPosition,
  ranges: readonly PartitionRange[] = [],
): number | undefined {
  const range = ranges.find((one) => one.topic === topic && one.partition === partition)
  const last = Math.max(end, range?.end ?? -1)
  return next < 0 || last < 0 ? undefined : Math.max(0, last - next)
}

/** Milliseconds that a caller waits for Kafka at most: then it is told what was known before. */
const PATIENCE_MS = 1_500

interface Question {
  readonly cluster: string
  ranges: readonly PartitionRange[]
  asked: number
  answer: Promise<void> | undefined
}

/**
 * What partitions hold, asked of Kafka at most every so often for each set of topics, whatever the
 * number of callers. It is remembered for as long as a route has the topics.
 */
export class Offsets {
  readonly #fresh: number
  #questions = new Map<string, Question>()

  /** @param fresh Milliseconds for which an answer is good. */
  constructor(fresh: number) {
    this.#fresh = fresh
  }

  /** By the names of clusters. */
  async of(routes: readonly Asked[]): Promise<Map<string, PartitionRange[]>> {
    const before = this.#questions
    this.#questions = new Map()
    const pending: Array<Promise<void>> = []
    for (const { handler, stats } of routes) {
      if (!stats.cluster) continue
      const cluster = stats.cluster.name
      const key = JSON.stringify([cluster, stats.topics])
      if (this.#questions.has(key)) continue
      const question = before.get(key) ?? {
        cluster,
        ranges: [],
        asked: -Infinity,
        answer: undefined,
      }
      this.#questions.set(key, question)
      pending.push(this.#ask(question, handler))
    }
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS)
    })
    await Promise.race([Promise.all(pending), late])
    clearTimeout(timer)
    const found = new Map<string, PartitionRange[]>()
    for (const { cluster, ranges } of this.#questions.values()) {
      found.set(cluster, [...(found.get(cluster) ?? []), ...ranges])
    }
    return found
  }

  /** One question at a time; while Kafka cannot be asked, what was known stays. */
  #ask(question: Question, handler: Observed): Promise<void> {
    if (question.answer) return question.answer
    if (performance.now() - question.asked < this.#fresh) return Promise.resolve()
    question.asked = performance.now()
    question.answer = handler
      .partitions()
      .then(
        (ranges) => {
          question.ranges = ranges
        },
        () => undefined,
      )
      .finally(() => {
        question.answer = undefined
      })
    return question.answer
  }
}
