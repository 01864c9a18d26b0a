import { KafkaConsumeError } from '../../core/errors.ts'
import type { Gauge, MakeGauge } from '../../core/gauge.ts'

/** The open streams of one client. */
interface OpenStreams {
  /** Counts those of all threads; undefined where this thread counts alone. */
  readonly gauge: Gauge | undefined
  /** The functions that end each stream of this thread. */
  readonly ends: Set<() => void>
}

/** The open streams of each client. */
export class ClientStreams {
  readonly #max: number
  readonly #makeGauge: MakeGauge | undefined
  /** By client; clients without streams have no entry. */
  readonly #open = new Map<string, OpenStreams>()

  /**
   * @param max Open streams of one client at most.
   * @param makeGauge Counts the streams of all threads. Default: this one counts alone.
   */
  constructor(max: number, makeGauge?: MakeGauge) {
    this.#max = max
    this.#makeGauge = makeGauge
  }

  /**
   * Counts a stream.
   *
   * @param end Ends the stream.
   * @returns to be called when the stream has ended.
   * @throws KafkaConsumeError TOO_MANY_STREAMS
   */
  open(client: string, end: () => void): (() => void) | Promise<() => void> {
    const open = this.#open.get(client) ?? this.#newEntry(client)
    open.ends.add(end)
    open.gauge?.add(1)
    const counting = open.gauge?.counting
    const admit = () => this.#admit(client, open, end)
    return counting ? counting.then(admit) : admit()
  }

  #admit(client: string, open: OpenStreams, end: () => void): () => void {
    const { gauge, ends } = open
    if ((gauge?.value ?? ends.size) > this.#max) {
      this.#close(client, open, end)
      throw new KafkaConsumeError(
        'TOO_MANY_STREAMS',
        `Cannot open a stream: this client has ${this.#max} open already`,
      )
    }
    return () => this.#close(client, open, end)
  }

  #newEntry(client: string): OpenStreams {
    // Where streams are not limited, nobody need know how many other threads have.
    const gauge = this.#max === Infinity ? undefined : this.#makeGauge?.(`client ${client}`)
    const open = { gauge, ends: new Set<() => void>() }
    this.#open.set(client, open)
    return open
  }

  #close(client: string, { gauge, ends }: OpenStreams, end: () => void): void {
    if (!ends.delete(end)) return
    gauge?.add(-1)
    if (ends.size > 0) return
    gauge?.release()
    this.#open.delete(client)
  }

  /** The clients that have streams. */
  clients(): readonly string[] {
    return [...this.#open.keys()]
  }

  /** Ends all streams of a client. */
  endAll(client: string): void {
    for (const end of this.#open.get(client)?.ends ?? []) end()
  }
}
