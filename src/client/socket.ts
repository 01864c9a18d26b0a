/** Reads a route by WebSocket, over as many connections as it takes. */

import { acceptRecord } from './accept-record.ts'
import { AckBatch } from './ack-batch.ts'
import { refusalOf } from './handshake-refusal.ts'
import type { RecordBySchema, ValueSchemas } from './record.ts'
import {
  addressOf,
  type ReadPosition,
  type ReceivedRecord,
  type ReceiveOptions,
  reportGap,
  wrongArgument,
} from './record.ts'
import { Retries } from './retry.ts'
import { type SocketFrame, SocketFrames } from './socket-frames.ts'

/** The options of `socket`. */
export interface SocketOptions<
  Schemas extends ValueSchemas | undefined = undefined,
  Acks extends boolean | 'manual' = boolean | 'manual',
> extends ReceiveOptions<Schemas> {
  /**
   * - `false`: reads without a group, from a position.
   * - `true`: reads as the consumer group; a record is acknowledged when the loop asks for the next
   *   one. The record at which the loop is left by `break` is not.
   * - `'manual'`: reads as the consumer group; `ack(record)` acknowledges.
   *
   * Default: `false`.
   */
  readonly acks?: Acks
  /** With `acks`: records without an acknowledgement that the client may have, 1 to 10000. Default: 500. */
  readonly maxUnacked?: number
  /**
   * Without `acks`: records that wait for the loop. When there are more, the client closes the
   * connection, and continues after the last one when the loop has caught up. Default: 1000.
   */
  readonly maxWaiting?: number
  /**
   * Opens the connections. Default: the runtime's `WebSocket`. With a function of your own a handshake
   * that the server refuses is retried, whatever its status: no HTTP request goes the same way.
   */
  readonly connect?: (url: URL) => WebSocket
}

/** The records of a WebSocket, as a loop reads them. */
export interface RecordSocket<Received> extends AsyncGenerator<Received, void, undefined> {
  /**
   * Acknowledges a record, and those of its partition that came before it. Has no effect where the
   * connection that brought the record has ended: the record comes again then, perhaps to another client.
   */
  ack(record: Omit<ReceivedRecord, 'cursor'>): void
}

/** A record as `socket` gives it: a group has committed offsets in place of cursors. */
export type SocketRecord<
  Schemas extends ValueSchemas | undefined,
  Acks extends boolean | 'manual',
> = false extends Acks ? RecordBySchema<Schemas> : WithoutCursor<RecordBySchema<Schemas>>

type WithoutCursor<Received> = Received extends unknown ? Omit<Received, 'cursor'> : never

/**
 * Reads the records of a route of mode `websocket`, on and on. Without `acks` each record comes once;
 * with `acks` a record whose acknowledgement did not arrive comes again, perhaps to another client.
 *
 * @param url Of the route, `ws:`, `wss:`, `http:` or `https:`; in browsers it may be relative.
 * @throws KafkaStreamError when a retry cannot succeed; the reason of `signal` when it aborts.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { websocket } from 'hono/bun'
 * import { kafkaConsume } from 'hono-kafka-consume'
 * import { socket } from 'hono-kafka-consume/client'
 * import { kafkaSide } from 'hono-kafka-consume/kafka'
 *
 * // A server with a few records; yours is elsewhere.
 * const broker = await kafkaSide.startEmbeddedBroker({ topic: 'orders', records: 3, recordsPerSecond: 0 })
 * const orders = kafkaConsume({
 *   bootstrapServers: broker.bootstrapServers,
 *   topics: ['orders'],
 *   mode: 'websocket',
 *   autoOffsetReset: 'earliest',
 * })
 * const app = new Hono().get('/orders', orders)
 * const server = Bun.serve({ port: 0, fetch: app.fetch, websocket })
 *
 * let count = 0
 * for await (const record of socket(new URL('/orders', server.url), { acks: true })) {
 *   if (record.topic === 'orders' && ++count === 3) break
 * }
 *
 * await server.stop(true)
 * await orders.close()
 * await broker.close()
 * ```
 */
export function socket<
  const Schemas extends ValueSchemas | undefined = undefined,
  const Acks extends boolean | 'manual' = false,
>(
  url: string | URL,
  options: SocketOptions<Schemas, Acks> = {},
): RecordSocket<SocketRecord<Schemas, Acks>> {
  const acks = new AckBatch()
  const records = readRecords(url, options, acks)
  return Object.assign(records as AsyncGenerator<SocketRecord<Schemas, Acks>, void, undefined>, {
    ack: (record: Omit<ReceivedRecord, 'cursor'>) => acks.add(record),
  })
}

async function* readRecords(
  url: string | URL,
  options: SocketOptions<ValueSchemas | undefined>,
  acks: AckBatch,
): AsyncGenerator<ReceivedRecord, void, undefined> {
  for await (const record of readConnections(url, options, acks)) {
    acks.received(record)
    const accepted = await acceptRecord(record, options)
    options.signal?.throwIfAborted()
    if (accepted) {
      acks.received(accepted)
      yield accepted
    }
    if (options.acks === true || !accepted) acks.add(record)
  }
}

/** The records of one connection after another. */
async function* readConnections(
  url: string | URL,
  options: SocketOptions<ValueSchemas | undefined>,
  acks: AckBatch,
): AsyncGenerator<ReceivedRecord, void, undefined> {
  const { maxWaiting = 1_000, signal } = options
  assertLimits(maxWaiting, options.maxUnacked)
  const connect = options.connect ?? ((address) => new WebSocket(address))
  const position: ReadPosition = { cursor: options.cursor }
  const retries = new Retries()
  for (;;) {
    const address = socketAddress(url, options, position)
    const socket = connect(address)
    const frames = new SocketFrames(socket, options.acks ? Infinity : maxWaiting, options)
    acks.attach(socket)
    let error: unknown
    try {
      yield* readFrames(frames, position, options, retries)
      return
    } catch (thrown) {
      error = thrown
    } finally {
      // The loop may have been left early, too.
      acks.flush()
      frames.close()
    }
    if (!frames.hasOpened && !options.connect) error = (await refusalOf(address, signal)) ?? error
    await retries.wait(error, options)
  }
}

/** The records of one connection, until the end that the client gave. @throws KafkaStreamError */
async function* readFrames(
  frames: SocketFrames,
  position: ReadPosition,
  options: SocketOptions<ValueSchemas | undefined>,
  retries: Retries,
): AsyncGenerator<ReceivedRecord, void, undefined> {
  for (;;) {
    const frame = await frames.next()
    if (frame.ended) return
    const record = recordOf(frame, position, options)
    retries.failed = 0
    if (record) yield record
  }
}

/** @throws TypeError */
function assertLimits(maxWaiting: number, maxUnacked = 1): void {
  if (!(maxWaiting >= 1)) throw wrongArgument('maxWaiting must be a number from 1')
  if (maxUnacked >= 1 && maxUnacked <= 10_000) return
  throw wrongArgument('maxUnacked must be a number from 1 to 10000')
}

/** Moves the position to that of a frame. Returns the frame if it is a record. */
function recordOf(
  frame: SocketFrame,
  position: ReadPosition,
  { onCursor, onGap }: ReceiveOptions<ValueSchemas | undefined>,
): ReceivedRecord | undefined {
  position.cursor = frame.cursor ?? position.cursor
  if (frame.offset !== undefined) return frame as ReceivedRecord
  if (frame.gap) reportGap(frame.gap, onGap)
  if (position.cursor !== undefined) onCursor?.(position.cursor)
}

function socketAddress(
  url: string | URL,
  options: SocketOptions<ValueSchemas | undefined>,
  position: ReadPosition,
): URL {
  const address = addressOf(url, options, position)
  address.protocol = address.protocol.replace('http', 'ws')
  if (!options.acks) return address
  address.searchParams.set('acks', 'true')
  if (options.maxUnacked) address.searchParams.set('max_unacked', String(options.maxUnacked))
  return address
}
