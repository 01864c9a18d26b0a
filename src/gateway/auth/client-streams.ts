import { KafkaConsumeError } from '../../core/errors.ts'

/** The open streams of each client. */
export class ClientStreams {
  readonly #max: number
  /** The functions that end each stream, by client; clients without streams have no entry. */
  readonly #open = new Map<string, Set<() => void>>()

  /** @param max Open streams of one client at most. */
  constructor(max: number) {
    this.#max = max
  }

  /**
   * Counts a stream.
   *
   * @param end Ends the stream.
   * @returns to be called when the stream has ended.
   * @throws KafkaConsumeError TOO_MANY_STREAMS
   */
  open(client: string, end: () => void): () => void {
    const open = this.#open.get(client) ?? new Set()
    if (open.size >= this.#max) {
      throw new KafkaConsumeError(
        'TOO_MANY_STREAMS',
        `Cannot open a stream: this client has ${this.#max} open already`,
      )
    }
    this.#open.set(client, open.add(end))
    return () => {
      open.delete(end)
      if (open.size === 0 && this.#open.get(client) === open) this.#open.delete(client)
    }
  }

  /** Ends all streams of a client. */
  endAll(client: string): void {
    for (const end of this.#open.get(client) ?? []) end()
  }
}
