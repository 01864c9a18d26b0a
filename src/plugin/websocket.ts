/** Mode `websocket`: the same records as text frames, each with one record's JSON. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../errors.ts'
import { exchangeOf } from '../ops/exchange.ts'
import { textsOf } from '../record/body.ts'
import { AckedStream } from './acked.ts'
import { clientOf, urlOf } from './client.ts'
import { parseSocket } from './parameters.ts'
import type { Route } from './route.ts'
import { CLOSE, endOf, failureFrame, SocketOutlet } from './socket.ts'
import { type LiveStream, openStream, type Wire } from './stream.ts'
import { asksForSocket, assertHandshake, upgrade } from './upgrade.ts'

/**
 * Milliseconds that a socket has to open after the answer. On Node the server may refuse a handshake
 * that this handler has accepted, and does not report it, nor that the client left before.
 */
const OPEN_DEADLINE_MS = 5_000

/** What runs on a socket from its beginning to its end. */
interface Conversation {
  /** Never fails; resolves when the outlet is closed. */
  run(outlet: SocketOutlet): Promise<void>
  /** The client said something. */
  heard(text: string, outlet: SocketOutlet): void
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
    : liveOn(await openStream(c, route, plan, 'websocket'))
  let outlet: SocketOutlet | undefined
  let isAbandoned = false
  const abandon = async () => {
    clearTimeout(deadline)
    if (outlet || isAbandoned) return
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
        outlet = new SocketOutlet(ws)
        void conversation.run(outlet)
      },
      onMessage: ({ data }) => {
        if (typeof data === 'string') conversation.heard(data, outlet as SocketOutlet)
        else outlet?.close(CLOSE.unsupportedData, 'text frames are expected')
      },
      onClose: () => (outlet ? outlet.ended() : void abandon()),
    })
    if (exchange) exchange.status = 101
    return response
  } catch (error) {
    await abandon()
    throw error
  }
}

/** Every record from a position on, to everyone who asks. */
function liveOn(live: LiveStream): Conversation {
  return {
    async run(outlet) {
      let failure: KafkaConsumeError | undefined
      const wire: Wire<readonly string[]> = {
        preamble: (cursor) => (cursor === undefined ? undefined : [cursorFrame(cursor)]),
        records: (part, cursor) => [...textsOf(part), cursorFrame(cursor())],
        gap: (gap, cursor) => [JSON.stringify({ gap }), cursorFrame(cursor)],
        error: (error, show) => {
          failure = error
          return [failureFrame(error, show)]
        },
        heartbeat: (cursor) => (cursor === undefined ? [] : [cursorFrame(cursor)]),
        // Characters, which are bytes where they are ASCII: to encode them twice is not worth it.
        bytes: (texts) => texts.reduce((sum, text) => sum + text.length, 0),
      }
      await live.run(outlet, wire)
      outlet.close(...endOf(failure))
    },
    heard: (_, outlet) =>
      outlet.close(CLOSE.policyViolation, 'messages are understood with acks=true only'),
    abandon: () => live.abandon(),
  }
}

/** Where a client that comes back is to go on. */
function cursorFrame(cursor: string): string {
  return JSON.stringify({ cursor })
}
