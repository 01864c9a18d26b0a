/** Routes as `hc` of Hono has them, by which streams are typed. */
import type { AnyRecord } from '../records/consumed-record.ts'
import { wrongArgument } from './record.ts'

/** A route of mode `server-sent-events` or `auto`, as `hc` of Hono has it: `client.orders.live`. */
export interface StreamRoute {
  /** The address of the route. */
  // biome-ignore lint/suspicious/noExplicitAny: the arguments differ from route to route.
  readonly $url: (...given: any) => URL
  /** The request, whose answer's type names the records. */
  // biome-ignore lint/suspicious/noExplicitAny: the arguments differ from route to route.
  readonly $get: (...given: any) => Promise<unknown>
}

/** The records of a route, by the types that its server gives them. */
export type RecordByRoute<Route extends StreamRoute> =
  Awaited<ReturnType<Route['$get']>> extends infer Answer
    ? Answer extends { text(): Promise<infer Text> }
      ? RecordOfText<Text>
      : never
    : never

/** The records of an `EventStreamText`; `never` for any other text. */
type RecordOfText<Text> = 'records' extends keyof Text
  ? Extract<Text['records' & keyof Text], AnyRecord> & StreamCursor
  : never

/** The path parameters of a route of `hc`. */
export interface RouteParameters {
  /** The values of a route's path parameters: `{ shop: 'berlin' }` for `client[':shop'].orders`. */
  readonly param?: Readonly<Record<string, string>>
}

/** The position of a record in a stream. */
export interface StreamCursor {
  /** The position of all partitions after the record: a stream from there continues with the next one. */
  readonly cursor: string
}

/**
 * The address of a route. Routes of `hc` are functions, whatever their type says.
 *
 * @throws TypeError
 */
export function addressOfRoute(
  given: string | URL | StreamRoute,
  { param }: RouteParameters,
): string | URL {
  if (typeof given === 'string' || given instanceof URL) return given
  if (typeof given?.$url !== 'function') throw wrongArgument('a URL, or a route of hc, is required')
  const address = given.$url({ param })
  // `hc` leaves a parameter without a value as it is in the route: `/:shop/orders`.
  if (/\/:/.test(address.pathname)) throw wrongArgument(`${address.pathname} needs a param`)
  return address
}
