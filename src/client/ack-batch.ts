/** Acknowledgements on their way to the server: the newest offset of each partition, some at a time. */
import { partitionKey, type TopicPartition } from '../core/topic-partition.ts'

interface RecordPlace extends TopicPartition {
  readonly offset: number
}

/** Acks that wait at most; the server's own limit is `max_unacked`. */
const MAX_BATCH = 100

export class AckBatch {
  /** The connection that brought a record: an ack on any other one would be an error. */
  readonly #sources = new WeakMap<object, WebSocket>()
  readonly #unsent = new Map<string, RecordPlace>()
  #socket: WebSocket | undefined
  #count = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  /** Sends acks by a new connection from now on. */
  attach(socket: WebSocket): void {
    this.#socket = socket
    this.#unsent.clear()
    this.#count = 0
  }

  /** Notes that a record came by the present connection. */
  received(record: object): void {
    if (this.#socket) this.#sources.set(record, this.#socket)
  }

  /** Acknowledges a record, and those of its partition before it. */
  add(record: RecordPlace): void {
    if (!this.#socket || this.#sources.get(record) !== this.#socket) return
    const { topic, partition, offset } = record
    const key = partitionKey(record)
    if (offset >= (this.#unsent.get(key)?.offset ?? 0)) {
      this.#unsent.set(key, { topic, partition, offset })
    }
    if (++this.#count >= MAX_BATCH) this.flush()
    else this.#timer ??= setTimeout(() => this.flush())
  }

  /** Sends what is unsent, if the connection is still open. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#unsent.size > 0 && this.#socket?.readyState === 1) {
      this.#socket.send(JSON.stringify({ ack: [...this.#unsent.values()] }))
    }
    this.#unsent.clear()
    this.#count = 0
  }
}
