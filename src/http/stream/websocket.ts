/** Mode `websocket`: each text frame has one record and the cursor after it. */
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
import type { LiveStream } from './live-stream.ts'
import { openStream } from './open-stream.ts'
import { CLOSE, closeFrameFor, errorFrame, SocketWriter } from './socket-writer.ts'
import type { StreamEncoder } from './stream-encoder.ts'

/**
 * Milliseconds after the response within which a socket must open. On Node the server may refuse a
 * handshake that this handler has accepted. It reports neither that, nor that the client has
 * disconnected before.
 */
const OPEN_DEADLINE_MS = 5_000

/** The exchange with a client on one socket. */
interface SocketSession {
  /** Resolves when the writer is closed; never rejects. */
  run(writer: SocketWriter): Promise<void>
  /** The client has sent a text message. */
  onMessage(text: string, writer: SocketWriter): void
  /** The socket did not open. */
  abandon(): Promise<void>
}

/** @throws KafkaConsumeError before the connection is a WebSocket, so that it can be an HTTP status. */
export async function answerSocket(c: Context, route: Route): Promise<Response> {
  if (!isUpgradeRequest(c)) {
    throw new KafkaConsumeError(
      'UPGRADE_REQUIRED',
      'Cannot answer a plain request: this route speaks WebSocket',
    )
  }
  assertHandshake(c)
  const plan = parseSocket(urlOf(c).searchParams, route.options.topics, route.options.filters)
  const statistics = requestStatisticsOf(c)
  const session = plan.acks
    ? await AckSession.open(route, clientOf(c), plan, statistics)
    : sessionOf(await openStream(c, route, plan, 'websocket', encoderOf(plan.format, route)))
  let writer: SocketWriter | undefined
  let isAbandoned = false
  const abandon = async () => {
    clearTimeout(deadline)
    if (writer || isAbandoned) return
    isAbandoned = true
    await session.abandon()
  }
  const deadline = setTimeout(() => void abandon(), OPEN_DEADLINE_MS)
  try {
    const response = await upgrade(c, {
      onOpen: (_, ws) => {
        clearTimeout(deadline)
        if (isAbandoned)
          return ws.close(CLOSE.tryAgainLater, 'the connection took too long to open')
        writer = new SocketWriter(ws)
        void session.run(writer)
      },
      onMessage: ({ data }) => {
        if (typeof data === 'string') session.onMessage(data, writer as SocketWriter)
        else writer?.close(CLOSE.unsupportedData, 'text frames are expected')
      },
      onClose: () => (writer ? writer.ended() : void abandon()),
    })
    if (statistics) statistics.status = 101
    return response
  } catch (error) {
    await abandon()
    throw error
  }
}

/** Streams every record from a position on; each client gets all of them. */
function sessionOf(live: LiveStream<readonly string[]>): SocketSession {
  return {
    async run(writer) {
      writer.onAbort(() => live.onAbort())
      await live.run(writer)
      if (live.hasReachedEnd) writer.close(CLOSE.normal, 'there are no more records before the end')
      else writer.close(...closeFrameFor(live.error))
    },
    onMessage: (_, writer) =>
      writer.close(CLOSE.policyViolation, 'messages are understood with acks=true only'),
    abandon: () => live.abandon(),
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Makes the frame of a record, with the cursor after it. Each frame tells the client its position, so
 * that it loses no record and gets none twice wherever the connection is cut.
 *
 * @param json The formatted record.
 * @param cursor Needs no escaping in JSON.
 */
type RecordFrame = (json: string, cursor: string) => string

/** The cursor is a field of the record. */
const withField: RecordFrame = (json, cursor) => `${json.slice(0, -1)},"cursor":"${cursor}"}`
/** A formatted record may be any JSON: a text, or an object that has a field `cursor`. */
const inEnvelope: RecordFrame = (json, cursor) => `{"data":${json},"cursor":"${cursor}"}`

/** Bytes of a batch up to which its frames are cached for further sockets. */
const MAX_SHARED_BYTES = 1024 * 1024

class SocketEncoder implements StreamEncoder<readonly string[]> {
  readonly #frame: RecordFrame
  /**
   * The frames of the batch that was sent last as a whole: all sockets at the end of the ring buffer
   * send that batch. Overflow policy: the next batch replaces it, and a large batch is not cached.
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

  end(cursor: string): readonly string[] {
    return [JSON.stringify({ ended: true, cursor })]
  }

  error(error: KafkaConsumeError, showDetail: boolean): readonly string[] {
    return [errorFrame(error, showDetail)]
  }

  /** An empty list is a ping. */
  heartbeat(cursor: string | undefined): readonly string[] {
    return cursor === undefined ? [] : [JSON.stringify({ cursor })]
  }

  /** Counts characters, which are bytes where the text is ASCII, to save a second encoding. */
  bytes(frames: readonly string[]): number {
    return frames.reduce((sum, text) => sum + text.length, 0)
  }
}

const records = new SocketEncoder(withField)
const formatted = new SocketEncoder(inEnvelope)

function encoderOf(format: FormatName | undefined, { options }: Route): SocketEncoder {
  return chooseFormat(format, options).list === 'array' ? formatted : records
}
