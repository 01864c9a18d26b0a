import { asKafkaConsumeError, type KafkaConsumeError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { logOf } from '../../core/log.ts'
import type { RequestStatistics } from '../../core/request-statistics.ts'
import type { DeliveredRun } from '../../port/encoding.ts'
import type { Delivery, PartitionOffset } from '../../port/kafka.ts'
import type { RequestedFilters } from '../../records/filter.ts'
import type { Format } from '../../records/format.ts'
import type { ProcessedRecord } from '../../records/pipeline.ts'
import { type GroupPoll, pollGroup } from '../consume/poll-group.ts'
import { assertMayUseGroup, type KafkaClient, timeLeft } from '../request/client.ts'
import { chooseFormat, type SocketPlan } from '../request/parameters.ts'
import type { GroupCalls } from '../route/memberships.ts'
import type { ClientRelease, OpenStream, Route } from '../route/route.ts'
import { ReadTrace } from '../route/trace.ts'
import { END_TIMEOUT_MS } from './live-stream.ts'
import { SentGaps } from './sent-gaps.ts'
import { CLOSE, closeFrameFor, errorFrame, type SocketWriter } from './socket-writer.ts'
import { UnackedRecords } from './unacked-records.ts'

const log = logOf('socket')

/** Bytes that a client may leave unacknowledged; a first record passes whatever its size. */
const UNACKED_BYTES = 4 * 1024 * 1024
const READ_BYTES = 256 * 1024
/** Milliseconds for which a client may acknowledge records after the server has ended the stream. */
const LAST_ACKS_MS = 2_000

/** Records that one message may acknowledge. */
const MAX_POSITIONS = 10_000

/**
 * Sends records of the route's consumer group to one client. A record is acked in the group when the
 * client acknowledges it.
 *
 * Overflow policy: a client with `maxUnacked` records or {@link UNACKED_BYTES} unacknowledged gets no
 * more, and other clients of the group do. Its records are requeued when it disconnects, or
 * acknowledges none for `writeDeadline`.
 */
export class AckSession implements OpenStream {
  readonly form = 'websocket'
  readonly #route: Route
  readonly #client: KafkaClient
  readonly #releaseClient: ClientRelease
  readonly #group: GroupCalls
  readonly #requestStatistics: RequestStatistics | undefined
  readonly #trace: ReadTrace | undefined
  readonly #maxUnacked: number
  readonly #wanted: RequestedFilters | undefined
  readonly #format: Format | undefined
  readonly #unacked = new UnackedRecords()
  readonly #gaps = new SentGaps()
  readonly #stop = new AbortController()
  readonly #finished = Promise.withResolvers<void>()
  #wake: (() => void) | undefined
  #writer: SocketWriter | undefined
  /** When the present write began, in `performance.now()`'s time; undefined between writes. */
  #writingSince: number | undefined
  #error: KafkaConsumeError | undefined

  /** @throws KafkaConsumeError when the group cannot be joined, or too many streams are open. */
  static async open(
    route: Route,
    client: KafkaClient,
    plan: SocketPlan & { acks: true },
    requestStatistics?: RequestStatistics,
  ): Promise<AckSession> {
    assertMayUseGroup(client, route.hasClientGroups)
    const group = await route.group(client)
    let session: AckSession | undefined
    let hasEnded = false
    const releaseClient = await route.acquireStream(client, () => {
      hasEnded = true
      void session?.end()
    })
    session = new AckSession(route, client, releaseClient, group, plan, requestStatistics)
    if (hasEnded) void session.end()
    return session
  }

  private constructor(
    route: Route,
    client: KafkaClient,
    releaseClient: ClientRelease,
    group: GroupCalls,
    { maxUnacked, wanted }: SocketPlan & { acks: true },
    requestStatistics: RequestStatistics | undefined,
  ) {
    // Acknowledgements name topic, partition and offset, so records are sent whole unless the app has
    // a format of its own.
    const { options } = route
    this.#format = chooseFormat(options.format ? undefined : 'records', options).format
    this.#releaseClient = releaseClient
    this.#route = route
    this.#client = client
    this.#group = group
    this.#maxUnacked = maxUnacked
    this.#wanted = wanted
    this.#requestStatistics = requestStatistics
    if (requestStatistics) requestStatistics.ended = this.#finished.promise
    route.addStream(this)
    this.#trace = ReadTrace.begin(route, 'group')
  }

  async run(writer: SocketWriter): Promise<void> {
    this.#writer = writer
    writer.onAbort(() => this.#end())
    try {
      while (!this.#stop.signal.aborted && timeLeft(this.#client) > 0) await this.#next(writer)
    } catch (thrown) {
      if (!this.#stop.signal.aborted) this.#error = asKafkaConsumeError(thrown)
    }
    try {
      await this.#conclude(writer)
    } finally {
      this.#finish()
    }
  }

  onMessage(text: string, writer: SocketWriter): void {
    const ack = positionsIn(text)
    if (ack === undefined) {
      writer.close(
        CLOSE.invalidPayload,
        'a message must be {"ack": {"topic", "partition", "offset"}}, or {"ack": [...]}',
      )
      return
    }
    if (!this.#unacked.ack(ack)) {
      writer.close(CLOSE.policyViolation, 'a record was acknowledged that was not sent')
      return
    }
    this.#gaps.confirm(performance.now())
    this.#wake?.()
    if (this.#route.options.commitStrategy === 'off') this.#commit(ack)
  }

  async abandon(): Promise<void> {
    this.#finish()
  }

  async end(): Promise<void> {
    this.#end()
    const patience = setTimeout(() => this.#abandonWrite(), END_TIMEOUT_MS)
    await this.#finished.promise
    clearTimeout(patience)
  }

  /** A stalled write is the only sign of a connected client that does not read. */
  onTick(now: number): void {
    const { writeDeadline } = this.#route.options
    if (this.#writingSince === undefined || now - this.#writingSince < writeDeadline) return
    this.#writingSince = undefined
    this.#route.statistics.silent++
    this.#writer?.abort()
  }

  #abandonWrite(): void {
    if (this.#writingSince !== undefined) this.#writer?.close(...closeFrameFor(this.#error))
  }

  #end(): void {
    this.#stop.abort()
    this.#wake?.()
  }

  async #next(writer: SocketWriter): Promise<void> {
    const { heartbeat, writeDeadline, messageDeserializer } = this.#route.options
    const left = (this.#unacked.since ?? Infinity) + writeDeadline - performance.now()
    if (left <= 0) {
      this.#route.statistics.silent++
      writer.close(CLOSE.policyViolation, 'nothing was acknowledged for too long')
      return
    }
    this.#gaps.confirm(performance.now() - heartbeat)
    const timeout = Math.min(heartbeat, left, Math.max(0, timeLeft(this.#client)))
    const room = this.#maxUnacked - this.#unacked.length
    if (room <= 0 || this.#unacked.bytes >= UNACKED_BYTES) {
      await this.#acknowledged(timeout)
      await this.#write(writer, [])
    } else {
      const maxBytes = Math.min(READ_BYTES, UNACKED_BYTES - this.#unacked.bytes)
      const wantsRecords = this.#trace !== undefined
      const polled = await pollGroup(this.#group, this.#route, {
        client: this.#client,
        wanted: this.#wanted,
        limits: { maxRecords: room, maxBytes, timeout, wantsRecords, wantsRuns: true },
        layout: { list: 'lines', content: 'record', valuesAreJson: messageDeserializer === 'json' },
        leaving: this.#stop,
      })
      await this.#send(writer, polled)
    }
  }

  async #send(writer: SocketWriter, polled: GroupPoll): Promise<void> {
    const { delivery } = polled
    let texts: readonly string[]
    try {
      texts = await polled.texts(this.#format)
    } catch (error) {
      delivery.requeue()
      throw error
    }
    this.#trace?.addRecords(polled.records)
    const gaps = delivery.gaps.map((gap) => JSON.stringify({ gap }))
    this.#route.statistics.gaps += gaps.length
    const before = this.#unacked.bytes
    const ackOthers = this.#addSent(polled, texts)
    if (gaps.length > 0) this.#gaps.add(delivery, ackOthers)
    else ackOthers()
    const bytes = this.#unacked.bytes - before
    this.#route.countSent('group', texts.length, bytes, this.#requestStatistics)
    // An empty list is a ping.
    await this.#write(writer, [...gaps, ...texts])
  }

  async #conclude(writer: SocketWriter): Promise<void> {
    const error = this.#error
    const { returnErrorMessage } = this.#route.options.errorHandling
    if (error) await this.#write(writer, [errorFrame(error, returnErrorMessage)])
    await this.#lastAcks(writer)
    writer.close(...closeFrameFor(error))
  }

  async #write(writer: SocketWriter, texts: readonly string[]): Promise<void> {
    this.#writingSince = performance.now()
    await writer.write(texts)
    this.#writingSince = undefined
  }

  /** @returns Acks the records that this client does not get. */
  #addSent(polled: GroupPoll, texts: readonly string[]): () => void {
    const { delivery } = polled
    if (texts.length === 0) return () => delivery.ack()
    if (!polled.isUnprocessed) return this.#addSome(delivery, polled.records, texts)
    this.#addAll(delivery, texts)
    return () => {}
  }

  #addAll(delivery: Delivery, texts: readonly string[]): void {
    for (const run of delivery.runs) {
      const sizes = texts.slice(run.begin, run.end).map(({ length }) => length)
      this.#unacked.add(delivery, run, run.begin, sizes)
    }
  }

  /** @returns Acks the records that were filtered out. */
  #addSome(
    delivery: Delivery,
    records: readonly ProcessedRecord[],
    texts: readonly string[],
  ): () => void {
    const filtered: number[] = []
    let index = 0
    for (const run of delivery.runs) {
      let sizes: number[] = []
      for (let at = run.begin; at < run.end; at++) {
        const next = records[index]
        const isSent = next !== undefined && isRecordOf(run, at, next)
        if (isSent) {
          sizes.push((texts[index++] as string).length)
          continue
        }
        this.#unacked.add(delivery, run, at - sizes.length, sizes)
        sizes = []
        filtered.push(at)
      }
      this.#unacked.add(delivery, run, run.end - sizes.length, sizes)
    }
    return () => {
      for (const at of filtered) delivery.ackRange(at, at + 1)
    }
  }

  /** Commits what the client acknowledged, with `commitStrategy: 'off'`. */
  #commit(ack: readonly PartitionOffset[]): void {
    const next = ack.map((position) => ({ ...position, offset: position.offset + 1 }))
    this.#group.commit(next).catch((error: unknown) => {
      log.warn('Cannot commit what a client acknowledged: {error}', {
        error: asKafkaConsumeError(error).message,
      })
    })
  }

  /** Resolves at the next acknowledgement, at the end of the stream, or after the given milliseconds. */
  #acknowledged(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), milliseconds)
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
    })
  }

  /** Waits until the client has acknowledged all it got, or for {@link LAST_ACKS_MS}. */
  async #lastAcks(writer: SocketWriter): Promise<void> {
    const until = performance.now() + LAST_ACKS_MS
    while (!writer.isClosed && this.#unacked.length > 0) {
      const left = until - performance.now()
      if (left <= 0) break
      await this.#acknowledged(left)
    }
  }

  #finish(): void {
    this.#end()
    this.#unacked.requeue()
    this.#gaps.requeue()
    this.#route.releaseStream(this.#releaseClient)
    this.#route.removeStream(this)
    this.#trace?.end(this.#error)
    this.#finished.resolve()
  }
}

/** The positions of an acknowledgement. It is checked by hand: a schema took longer than the acks. */
function positionsIn(text: string): readonly PartitionOffset[] | undefined {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isJsonObject(json) || Object.keys(json).length !== 1) return undefined
  const positions: readonly unknown[] = [json['ack']].flat()
  const isValid = positions.length <= MAX_POSITIONS && positions.every(isPosition)
  return isValid ? (positions as readonly PartitionOffset[]) : undefined
}

function isPosition(value: unknown): value is PartitionOffset {
  return (
    isJsonObject(value) &&
    Object.keys(value).length === 3 &&
    typeof value['topic'] === 'string' &&
    isIndex(value['partition']) &&
    isIndex(value['offset'])
  )
}

function isIndex(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** @param at Index in the delivery. */
function isRecordOf(run: DeliveredRun, at: number, record: ProcessedRecord): boolean {
  const isInPartition = run.partition === record.partition && run.topic === record.topic
  return isInPartition && run.offsets[at - run.begin] === record.offset
}
