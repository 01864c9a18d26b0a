/** A group's session in a thread that has no Kafka client of its own: another thread has its member. */
import type {
  Delivery,
  GroupSession,
  LeavingClient,
  MemberStats,
  PartitionOffset,
  PollLimits,
} from '../port/kafka.ts'
import type { BodyReceiver } from './body-memory.ts'
import type { Messenger } from './messenger.ts'
import { RemoteDelivery, type SentDelivery, type SmallDelivery } from './remote-delivery.ts'
import { packPoll } from './sent-poll.ts'

const NO_MEMBER: MemberStats = { partitions: [], requeued: 0, uncertain: 0, rebuilt: 0 }

export class RemoteSession implements GroupSession {
  readonly #messenger: Messenger
  readonly #id: number
  readonly #bodies: BodyReceiver
  readonly #onClose: () => void
  #stats = NO_MEMBER
  /** Calls that are not answered, and deliveries that are neither acked nor requeued. */
  #open = 0

  /** @param bodies The memory in which the other thread puts small bodies. */
  constructor(messenger: Messenger, id: number, bodies: BodyReceiver, onClose: () => void) {
    this.#messenger = messenger
    this.#id = id
    this.#bodies = bodies
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
    return this.#call('ready', {}, signal && { signal })
  }

  /** The other thread has the records, so every poll waits for its answer. */
  pollNow(): undefined {
    return undefined
  }

  async poll(limits: PollLimits, leaving?: LeavingClient): Promise<Delivery> {
    const poll = packPoll(this.#id, limits)
    let signal: AbortSignal | undefined
    const asking = leaving && {
      get signal() {
        signal = leaving.signal
        return signal
      },
    }
    this.#open++
    let delivery: RemoteDelivery
    try {
      const asked = this.#messenger.request<SentDelivery | SmallDelivery>(
        'poll',
        poll,
        asking,
        'this turn',
      )
      delivery = await asked.then(this.#receive)
    } catch (error) {
      this.#open--
      throw signal?.aborted ? signal.reason : error
    }
    if (!signal?.aborted) return delivery
    delivery.requeue()
    throw signal.reason
  }

  /** Called for answers in the order in which they come, in which their bodies must be taken. */
  readonly #receive = (answer: SentDelivery | SmallDelivery): RemoteDelivery => {
    let sent = answer as SentDelivery
    if (Array.isArray(answer)) {
      const [id, length, bytes, at, bodyLength, used] = answer as unknown as SmallDelivery
      sent = { id, length, bytes, body: this.#bodies.take({ at, length: bodyLength, used }) }
    }
    return new RemoteDelivery(this.#messenger, sent, this.#onEnd)
  }

  readonly #onEnd = (): void => {
    this.#open--
  }

  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    return this.#call('commit', { offsets })
  }

  close(): Promise<void> {
    this.#onClose()
    return this.#messenger.request('leave', this.#id)
  }

  async #call<T>(name: string, payload: object, leaving?: LeavingClient): Promise<T> {
    this.#open++
    try {
      return await this.#messenger.request<T>(name, { group: this.#id, ...payload }, leaving)
    } catch (error) {
      throw leaving?.signal.aborted ? leaving.signal.reason : error
    } finally {
      this.#open--
    }
  }
}
