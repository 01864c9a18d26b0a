/**
 * The types of queries, by which `hc` of Hono types requests. docs/reading.md, docs/streams.md and
 * docs/websocket.md describe the parameters.
 */

/** The parameters that choose records. */
export interface FilterQuery<Topic extends string = string> {
  /** Names of topics. */
  topic?: Topic | readonly Topic[]
  /** Numbers of partitions. */
  partition?: number | readonly number[]
  /** Keys. */
  key?: string | readonly string[]
  /** An expression in CEL that is true for wanted records. */
  filter?: string
}

/** The parameters of a single read. */
export interface ReadQuery<Topic extends string = string> extends FilterQuery<Topic> {
  /** Reads from there, without the group: `earliest`, `latest`, a time, or a duration back from now. */
  start?: string
  /** Reads from there, without the group. */
  cursor?: string
  /** Ends the read there. */
  end?: string
  /** Merges the records of all partitions by their time. */
  order?: 'time'
  /** Records at most. */
  max_records?: number
  /** Bytes at most. */
  max_bytes?: number
  /** Milliseconds to wait for a first record. */
  timeout?: number
}

/** The parameters of a stream. */
export interface StreamQuery<Topic extends string = string> extends FilterQuery<Topic> {
  /** Begins there: `earliest`, `latest`, a time, or a duration back from now. */
  start?: string
  /** Begins there. */
  cursor?: string
  /** Ends the stream there. */
  end?: string
}

/** The parameters of a WebSocket. */
export interface SocketQuery<Topic extends string = string> extends StreamQuery<Topic> {
  /** Whether to read as the consumer group, and to acknowledge. */
  acks?: boolean
  /** Records that may be unacknowledged at a time. */
  max_unacked?: number
}

/** The parameters of a request that writes. */
export interface WriteQuery<Topic extends string = string> {
  /** The topic of records that name none. */
  topic?: Topic
  /** The partition of records that name none. */
  partition?: number
  /** The key of records that have none. */
  key?: string
}

/** A request with a query, in the form in which Hono describes requests. */
export interface QueryInput<Query> {
  /** The parts of a request that a client gives. */
  in: Partial<Record<'query', Query>>
}

/** A request for a WebSocket, in the form in which Hono describes requests. */
export interface SocketInput<Query> extends QueryInput<Query> {
  /** Tells Hono that the route opens a WebSocket. */
  outputFormat: 'ws'
}

/** A request with a body of JSON, in the form in which Hono describes requests. */
export interface BodyInput<Body, Query> {
  /** The parts of a request that a client gives. */
  in: Record<'json', Body> & Partial<Record<'query', Query>>
}
