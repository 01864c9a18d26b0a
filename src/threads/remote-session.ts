/** A group's session in a thread that has no Kafka client of its own: another thread has its member. */
import type {
  Delivery,
  GroupSession,
  MemberStats,
  PartitionOffset,
  PollLimits,
} from '../port/kafka.ts'
import type { Messenger } from './messenger.ts'
import { RemoteDelivery, type SentDelivery } from './remote-delivery.ts'

const NO_MEMBER: MemberStats = { partitions: [], requeued: 0, uncertain: 0, rebuilt: 0 }

export class RemoteSession implements GroupSession {
  readonly #messenger: Messenger
  readonly #id: number
  readonly #onClose: () => void
  #stats = NO_MEMBER
  /** Calls that are not answered, and deliveries that are neither acked nor requeued. */
  #open = 0

  constructor(messenger: Messenger, id: number, onClose: () => void) {
    this.#messenger = messenger
    this.#id = id
    this.#onClose = onClose
  }

  get isInUse(): boolean {
    return this.#open > 0
  }

  set(stats: MemberStats): void {
    this.#stats = stats
  }

  stats(): MemberStats {
    return this.#stats
  }

  ready(signal?: AbortSignal): Promise<void> {
    return this.#call('ready', {}, signal)
  }

  /** The other thread has the records, so every poll waits for its answer. */
  pollNow(): undefined {
    return undefined
  }

  async poll(limits: PollLimits, signal?: AbortSignal): Promise<Delivery> {
    const sent = await this.#call<SentDelivery>('poll', { limits }, signal)
    this.#open++
    const delivery = new RemoteDelivery(this.#messenger, sent, () => this.#open--)
    if (!signal?.aborted) return delivery
    delivery.requeue()
    throw signal.reason
  }

  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    return this.#call('commit', { offsets })
  }

  close(): Promise<void> {
    this.#onClose()
    return this.#messenger.request('leave', this.#id)
  }

  async #call<T>(name: string, payload: object, signal?: AbortSignal): Promise<T> {
    this.#open++
    try {
      return await this.#messenger.request<T>(name, { group: this.#id, ...payload }, signal)
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    } finally {
      this.#open--
    }
  }
}
