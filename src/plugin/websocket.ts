/** Mode `websocket`: the same records as text frames, each with one record's JSON. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../errors.ts'
import { exchangeOf } from '../ops/exchange.ts'
import { textsOf } from '../record/body.ts'
import { AckedStream } from './acked.ts'
import { clientOf, urlOf } from './client.ts'
import { type LiveStream, openStream, type StreamEncoder } from './live-stream.ts'
import { parseSocket } from './parameters.ts'
import type { Route } from './route.ts'
import { CLOSE, endOf, failureFrame, SocketWriter } from './socket.ts'
import { asksForSocket, assertHandshake, upgrade } from './upgrade.ts'

/**
 * Milliseconds that a socket has to open after the answer. On Node the server may refuse a handshake
 * that this handler has accepted, and does not report it, nor that the client left before.
 */
const OPEN_DEADLINE_MS = 5_000

/** What runs on a socket from its beginning to its end. */
interface Conversation {
  /** Never fails; resolves when the writer is closed. */
  run(writer: SocketWriter): Promise<void>
  /** The client said something. */
  heard(text: string, writer: SocketWriter): void
  /** There will be no socket. */
  abandon(): Promise<void>
}

/** @throws KafkaConsumeError whatever fails before the connection is a WebSocket. */
export async function answerSocket(c: Context, route: Route): Promise<Response> {
  if (!asksForSocket(c)) {
    throw new KafkaConsumeError(
      'UPGRADE_REQUIRED',
      'Cannot answer a plain request: this route speaks WebSocket',
    )
  }
  assertHandshake(c)
  const plan = parseSocket(urlOf(c).searchParams, route.options.topics)
  const exchange = exchangeOf(c)
  const conversation = plan.acks
    ? await AckedStream.open(route, clientOf(c), plan, exchange)
    : liveOn(await openStream(c, route, plan, 'websocket', texts))
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
        if (typeof data === 'string') conversation.heard(data, writer as SocketWriter)
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
function liveOn(live: LiveStream<readonly string[]>): Conversation {
  return {
    async run(writer) {
      writer.onAbort(() => live.onAbort())
      await live.run(writer)
      writer.close(...endOf(live.failure))
    },
    heard: (_, writer) =>
      writer.close(CLOSE.policyViolation, 'messages are understood with acks=true only'),
    abandon: () => live.abandon(),
  }
}

const texts: StreamEncoder<readonly string[]> = {
  preamble: (cursor) => (cursor === undefined ? undefined : [cursorFrame(cursor)]),
  records: (part, cursor) => [...textsOf(part), cursorFrame(cursor())],
  gap: (gap, cursor) => [JSON.stringify({ gap }), cursorFrame(cursor)],
  error: (error, show) => [failureFrame(error, show)],
  heartbeat: (cursor) => (cursor === undefined ? [] : [cursorFrame(cursor)]),
  // Characters, which are bytes where they are ASCII: to encode them twice is not worth it.
  bytes: (frames) => frames.reduce((sum, text) => sum + text.length, 0),
}

/** Where a client that comes back is to go on. */
function cursorFrame(cursor: string): string {
  return JSON.stringify({ cursor })
}
