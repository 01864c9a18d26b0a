/** Records of a group that another thread has given to a client of this one. */
import { KafkaConsumeError } from '../core/errors.ts'
import type { DeliveredRun } from '../port/encoding.ts'
import type { Delivery, Gap, KafkaRecord, PartitionState } from '../port/kafka.ts'
import type { Messenger } from './messenger.ts'

/** A delivery as it travels between threads, with the parts that its poll wanted. */
export interface SentDelivery {
  readonly id: number
  readonly bytes: number
  readonly length: number
  /** The records in the layout of the poll. */
  readonly body: Uint8Array | undefined
  /** Absent: none. */
  readonly gaps?: readonly Gap[]
  readonly records?: readonly KafkaRecord[]
  readonly partitions?: readonly PartitionState[]
  readonly runs?: readonly DeliveredRun[]
}

/** A delivery that has a body and nothing else. Its last three numbers are the place of the body in shared memory. */
export type SmallDelivery = readonly [
  id: number,
  length: number,
  bytes: number,
  at: number,
  bodyLength: number,
  used: number,
]

/** Indexes of records in a delivery that are acked. */
export type SentAck = readonly [delivery: number, begin: number, end: number]

const NO_GAPS: readonly Gap[] = []

export class RemoteDelivery implements Delivery {
  readonly length: number
  readonly bytes: number
  readonly gaps: readonly Gap[]
  readonly body: Uint8Array | undefined
  readonly #messenger: Messenger
  readonly #sent: SentDelivery
  readonly #onEnd: () => void
  #isOver = false

  /** @param onEnd Called when the delivery is acked as a whole, or requeued. */
  constructor(messenger: Messenger, sent: SentDelivery, onEnd: () => void) {
    this.#messenger = messenger
    this.#sent = sent
    this.length = sent.length
    this.bytes = sent.bytes
    this.gaps = sent.gaps ?? NO_GAPS
    this.body = sent.body
    this.#onEnd = onEnd
  }

  get runs(): readonly DeliveredRun[] {
    return this.#wanted('runs', 'wantsRuns')
  }

  decodeRecords(): readonly KafkaRecord[] {
    return this.#wanted('records', 'wantsRecords')
  }

  get partitions(): readonly PartitionState[] {
    return this.#wanted('partitions', 'wantsRecords')
  }

  encode(): never {
    throw unwanted('layout')
  }

  /** A thread that wakes only for acks would cost as much as one that polls, so they go with the next message. */
  ackRange(begin: number, end: number): void {
    if (this.#isOver) return
    const ack: SentAck = [this.#sent.id, begin, end]
    this.#messenger.notify('ackRange', ack, 'soon')
  }

  ack(): void {
    this.#end('ack', 'soon')
  }

  /** Other clients may wait for the records. */
  requeue(): void {
    this.#end('requeue', 'this turn')
  }

  #end(how: 'ack' | 'requeue', urgency: 'soon' | 'this turn'): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#messenger.notify(how, this.#sent.id, urgency)
    this.#onEnd()
  }

  #wanted<P extends 'runs' | 'records' | 'partitions'>(
    part: P,
    limit: string,
  ): NonNullable<SentDelivery[P]> {
    const found = this.#sent[part]
    if (!found) throw unwanted(limit)
    return found
  }
}

function unwanted(limit: string): KafkaConsumeError {
  return new KafkaConsumeError('INTERNAL', 'Cannot answer: the poll did not want this', {
    detail: `PollLimits.${limit} was not set`,
  })
}
