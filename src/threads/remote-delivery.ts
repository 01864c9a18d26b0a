/** Records of a group that another thread has given to a client of this one. */
import { KafkaConsumeError } from '../core/errors.ts'
import type { DeliveredRun, RecordTexts } from '../port/encoding.ts'
import type { Delivery, Gap, KafkaRecord, PartitionState } from '../port/kafka.ts'
import type { Messenger } from './messenger.ts'

/** A delivery as it travels between threads. */
export interface SentDelivery {
  readonly id: number
  readonly bytes: number
  readonly length: number
  readonly runs: readonly DeliveredRun[]
  readonly gaps: readonly Gap[]
  readonly partitions: readonly PartitionState[]
  /** Undefined where the poll did not want them. */
  readonly records: readonly KafkaRecord[] | undefined
}

/** The texts of an encoding, with the index of each run. */
export interface SentTexts extends Omit<RecordTexts, 'parts'> {
  readonly delivery: number
  readonly parts: ReadonlyArray<
    string | { readonly run: number; readonly prefix: string; readonly separator: string }
  >
}

/** Indexes of records in a delivery that are acked. */
export interface SentAck {
  readonly delivery: number
  readonly begin: number
  readonly end: number
}

export class RemoteDelivery implements Delivery {
  readonly length: number
  readonly bytes: number
  readonly runs: readonly DeliveredRun[]
  readonly gaps: readonly Gap[]
  readonly partitions: readonly PartitionState[]
  readonly #messenger: Messenger
  readonly #id: number
  readonly #records: readonly KafkaRecord[] | undefined
  readonly #onEnd: () => void
  #isOver = false

  /** @param onEnd Called when the delivery is acked as a whole, or requeued. */
  constructor(messenger: Messenger, sent: SentDelivery, onEnd: () => void) {
    this.#messenger = messenger
    this.#id = sent.id
    this.length = sent.length
    this.bytes = sent.bytes
    this.runs = sent.runs
    this.gaps = sent.gaps
    this.partitions = sent.partitions
    this.#records = sent.records
    this.#onEnd = onEnd
  }

  get records(): readonly KafkaRecord[] {
    if (this.#records) return this.#records
    if (this.length === 0) return []
    throw new KafkaConsumeError('INTERNAL', 'Cannot answer: the poll did not want records', {
      detail: 'PollLimits.wantsRecords was not set',
    })
  }

  encode({ parts, ...form }: RecordTexts): Promise<Uint8Array> {
    const sent = parts.map((part) => {
      if (typeof part === 'string') return part
      const { run, prefix, separator } = part
      return { run: this.runs.indexOf(run), prefix, separator }
    })
    const texts: SentTexts = { ...form, delivery: this.#id, parts: sent }
    return this.#messenger.request('encode', texts)
  }

  ackRange(begin: number, end: number): void {
    if (this.#isOver) return
    this.#messenger.notify('ackRange', { delivery: this.#id, begin, end } satisfies SentAck)
  }

  ack(): void {
    this.#end('ack')
  }

  requeue(): void {
    this.#end('requeue')
  }

  #end(how: 'ack' | 'requeue'): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#messenger.notify(how, this.#id)
    this.#onEnd()
  }
}
