/** Mode `websocket`: records as text frames, each with one record and the cursor after it. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../../core/errors.ts'
import { requestStatisticsOf } from '../../core/request-statistics.ts'
import type { Gap } from '../../port/kafka.ts'
import type { EncodedBatch } from '../../records/encoded-batch.ts'
import { clientOf, urlOf } from '../request/client.ts'
import { chooseFormat, type FormatName, parseSocket } from '../request/parameters.ts'
import { assertHandshake, isUpgradeRequest, upgrade } from '../request/upgrade.ts'
import type { Slice } from '../response/body.ts'
import type { Route } from '../route/route.ts'
import { AckSession } from './ack-session.ts'
import { type LiveStream, openStream, type StreamEncoder } from './live-stream.ts'
import { CLOSE, closeFrameFor, errorFrame, SocketWriter } from './socket-writer.ts'

/**
 * Milliseconds that a socket has to open after the answer. On Node the server may refuse a handshake
 * that this handler has accepted, and does not report it, nor that the client left before.
 */
const OPEN_DEADLINE_MS = 5_000

/** What runs on a socket from its beginning to its end. */
interface SocketSession {
  /** Never fails; resolves when the writer is closed. */
  run(writer: SocketWriter): Promise<void>
  /** The client said something. */
  onMessage(text: string, writer: SocketWriter): void
  /** There will be no socket. */
  abandon(): Promise<void>
}

/** @throws KafkaConsumeError whatever fails before the connection is a WebSocket. */
export async function answerSocket(c: Context, route: Route): Promise<Response> {
  if (!isUpgradeRequest(c)) {
    throw new KafkaConsumeError(
      'UPGRADE_REQUIRED',
      'Cannot answer a plain request: this route speaks WebSocket',
    )
  }
  assertHandshake(c)
  const plan = parseSocket(urlOf(c).searchParams, route.options.topics)
  const exchange = requestStatisticsOf(c)
  const conversation = plan.acks
    ? await AckSession.open(route, clientOf(c), plan, exchange)
    : sessionOf(await openStream(c, route, plan, 'websocket', encoderOf(plan.format, route)))
  let writer: SocketWriter | undefined
  let isAbandoned = false
  const abandon = async () => {
    clearTimeout(deadline)
    if (writer || isAbandoned) return
    isAbandoned = true
    await conversation.abandon()
  }
  const deadline = setTimeout(() => void abandon(), OPEN_DEADLINE_MS)
  try {
    const response = await upgrade(c, {
      onOpen: (_, ws) => {
        clearTimeout(deadline)
        if (isAbandoned)
          return ws.close(CLOSE.tryAgainLater, 'the connection took too long to open')
        writer = new SocketWriter(ws)
        void conversation.run(writer)
      },
      onMessage: ({ data }) => {
        if (typeof data === 'string') conversation.onMessage(data, writer as SocketWriter)
        else writer?.close(CLOSE.unsupportedData, 'text frames are expected')
      },
      onClose: () => (writer ? writer.ended() : void abandon()),
    })
    if (exchange) exchange.status = 101
    return response
  } catch (error) {
    await abandon()
    throw error
  }
}

/** Every record from a position on, to everyone who asks. */
function sessionOf(live: LiveStream<readonly string[]>): SocketSession {
  return {
    async run(writer) {
      writer.onAbort(() => live.onAbort())
      await live.run(writer)
      writer.close(...closeFrameFor(live.error))
    },
    onMessage: (_, writer) =>
      writer.close(CLOSE.policyViolation, 'messages are understood with acks=true only'),
    abandon: () => live.abandon(),
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * A record as a frame, with the cursor after it: the client knows its position by each frame, so that
 * it loses nothing and gets nothing twice wherever the connection is cut.
 *
 * @param json What the route's format makes of the record.
 * @param cursor Its characters stand for themselves in JSON.
 */
type RecordFrame = (json: string, cursor: string) => string

/** The cursor is a field of the record. */
const withField: RecordFrame = (json, cursor) => `${json.slice(0, -1)},"cursor":"${cursor}"}`
/** Other formats may make anything of a record, also texts, and fields of any name. */
const inEnvelope: RecordFrame = (json, cursor) => `{"data":${json},"cursor":"${cursor}"}`

/** Bytes of a batch whose frames are kept for further sockets; larger batches go to few at a time. */
const MAX_SHARED_BYTES = 1024 * 1024

class SocketEncoder implements StreamEncoder<readonly string[]> {
  readonly #frame: RecordFrame
  /**
   * The frames of the whole batch that was sent last, since all sockets at the end of the ring send
   * it. Overflow policy: the next batch takes its place, and a large one is not kept.
   */
  #last: { readonly batch: EncodedBatch; readonly frames: readonly string[] } | undefined

  constructor(frame: RecordFrame) {
    this.#frame = frame
  }

  preamble(cursor: string | undefined): readonly string[] | undefined {
    return cursor === undefined ? undefined : [JSON.stringify({ cursor })]
  }

  records({ batch, begin, end }: Slice): readonly string[] {
    const isWhole = begin === 0 && end === batch.length
    if (isWhole && this.#last?.batch === batch) return this.#last.frames
    const frames: string[] = []
    for (let i = begin; i < end; i++) {
      frames.push(this.#frame(decoder.decode(batch.json(i)), batch.id(i)))
    }
    if (isWhole && batch.heldBytes <= MAX_SHARED_BYTES) this.#last = { batch, frames }
    return frames
  }

  gap(gap: Gap, cursor: string): readonly string[] {
    return [JSON.stringify({ gap, cursor })]
  }

  error(error: KafkaConsumeError, show: boolean): readonly string[] {
    return [errorFrame(error, show)]
  }

  /** An empty list is a ping. */
  heartbeat(cursor: string | undefined): readonly string[] {
    return cursor === undefined ? [] : [JSON.stringify({ cursor })]
  }

  /** Characters, which are bytes where they are ASCII: to encode them twice is not worth it. */
  bytes(frames: readonly string[]): number {
    return frames.reduce((sum, text) => sum + text.length, 0)
  }
}

const records = new SocketEncoder(withField)
const formatted = new SocketEncoder(inEnvelope)

function encoderOf(format: FormatName | undefined, { options }: Route): SocketEncoder {
  return chooseFormat(format, options).list === 'array' ? formatted : records
}
