/** `HEAD`: the positions that a GET would read between, without records. */
import type { Context } from 'hono'
import type { FixedPosition, Position } from '../../feed/position.ts'
import { cursorText, type PartitionTable } from '../../records/cursor.ts'
import type { RequestedFilters } from '../../records/filter.ts'
import { clientOf, filterOf, urlOf } from '../request/client.ts'
import { parseRead, parseStream } from '../request/parameters.ts'
import type { Route } from '../route/route.ts'

/** The positions that a request names. */
interface NamedPositions {
  /** Undefined: a GET reads as the consumer group. */
  readonly position: Position | undefined
  readonly end: FixedPosition | undefined
  readonly wanted: RequestedFilters | undefined
}

const END: FixedPosition = { start: 'latest' }

/**
 * Answers with cursors: of the first records that Kafka keeps (`Kafka-Begin`), of the end
 * (`Kafka-End`), and of the position of the request, where it has one (`Kafka-Cursor`). It reads no
 * records as the group.
 *
 * @throws KafkaConsumeError as a GET would.
 */
export async function answerHead(c: Context, route: Route): Promise<Response> {
  const { position, end = END, wanted } = positionsOf(c, route)
  const client = clientOf(c)
  const filter = (table: PartitionTable) => filterOf(wanted, client, table)
  const { feed } = await route.lease()
  const begin = await feed.resolve({ from: { start: 'earliest' }, end }, filter)
  c.header('Kafka-Begin', cursorText(begin.table, begin.vector))
  c.header('Kafka-End', cursorText(begin.table, begin.end ?? begin.vector))
  if (position) {
    const { table, vector } = await feed.resolve({ from: position, end }, filter)
    c.header('Kafka-Cursor', cursorText(table, vector))
  }
  c.header('Cache-Control', 'no-store')
  return c.body(null, 200)
}

/** @throws KafkaConsumeError INVALID_PARAMETER or INVALID_CURSOR */
function positionsOf(c: Context, { options }: Route): NamedPositions {
  const { mode, topics, filters } = options
  const query = urlOf(c).searchParams
  if (mode === 'http-get' || mode === 'auto') return parseRead(query, topics, filters)
  return parseStream(query, c.req.header('Last-Event-ID'), topics, filters)
}
