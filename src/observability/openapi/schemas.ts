/** The schemas of bodies and of the parameters of requests. */
import * as v from 'valibot'
import { ERROR_CODES } from '../../core/errors.ts'
import type { WRITE_NAMES } from '../../http/produce/answer-post.ts'
import { place, TOPIC_SCHEMAS } from './topic-schemas.ts'

const MIB = 1024 * 1024

const offset = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const base64 = v.literal('base64')

const registered = v.object({
  id: v.pipe(v.number(), v.integer()),
  type: v.picklist(['AVRO', 'PROTOBUF', 'JSON']),
  name: v.pipe(
    v.optional(v.string()),
    v.description(
      'The full name of the Avro type or of the Protobuf message, or the title of the JSON Schema',
    ),
  ),
})

const parts = {
  offset: v.pipe(offset, v.description('Place in the partition, from 0')),
  timestamp: v.pipe(
    v.number(),
    v.safeInteger(),
    v.description('Milliseconds since 1970; -1 where the topic keeps none'),
  ),
  key: v.nullable(v.string()),
  value: v.pipe(
    v.unknown(),
    v.description(
      'A string, or null for a tombstone; JSON where the route or its schema registry makes it so',
    ),
  ),
  headers: v.pipe(
    v.record(v.string(), v.union([v.nullable(v.string()), v.array(v.nullable(v.string()))])),
    v.description(
      'A name that is given several times has an array; null is a header without a value',
    ),
  ),
  encoding: v.pipe(
    v.optional(
      v.object({
        key: v.optional(base64),
        value: v.optional(base64),
        headers: v.optional(v.record(v.string(), base64)),
      }),
    ),
    v.description('The fields that are base64, since their bytes are not valid UTF-8'),
  ),
  schema: v.pipe(
    v.optional(v.object({ key: v.optional(registered), value: v.optional(registered) })),
    v.description('The schemas by which a schema registry deserialized the key and the value'),
  ),
  error: v.pipe(
    v.optional(v.object({ code: v.string(), message: v.string() })),
    v.description('What could not be done with the record; its value is then base64'),
  ),
}

const record = v.object({
  topic: v.string(),
  partition: v.pipe(v.number(), v.integer(), v.minValue(0)),
  ...parts,
})

const gap = v.object({
  topic: v.string(),
  partition: v.pipe(v.number(), v.integer(), v.minValue(0)),
  from: v.pipe(offset, v.description('The offset that was due')),
  to: v.pipe(offset, v.description('The offset that reading goes on with')),
  reason: v.picklist(['retention', 'out-of-range']),
})

const cursor = v.pipe(
  v.string(),
  v.description(
    'The next offset of each partition, as `topic:0=43,1=17`; topics separated by `;`. Ids of records are compact where there are more than 32 partitions, and begin with `~`',
  ),
)

const error = v.object({
  message: v.pipe(v.string(), v.description('For people; it may change')),
  code: v.optional(v.pipe(v.picklist(ERROR_CODES), v.description('For programs'))),
  retryable: v.pipe(
    v.optional(v.boolean()),
    v.description('Whether the same request may succeed later'),
  ),
  error: v.pipe(
    v.optional(v.string()),
    v.description("The Kafka client's own words, where the route shows them"),
  ),
})

const kongPartition = v.object({
  errcode: v.literal(0),
  high_watermark: v.pipe(v.number(), v.description('-1 where it is not known')),
  last_stable_offset: v.number(),
  aborted_transactions: v.array(v.unknown()),
  records: v.array(v.object(parts)),
})

const newRecord = v.pipe(
  v.object({
    ...v.partial(record).entries,
    value: parts.value,
  }),
  v.description('A record to write; `offset` and `error`, which reading adds, have no effect'),
)

const written = v.object({
  topic: v.string(),
  partition: v.number(),
  offset: v.pipe(
    v.nullable(offset),
    v.description('`null` where Kafka has the record and no longer says where'),
  ),
})

const failure = v.object({
  failure: v.pick(error, ['message', 'code', 'retryable', 'error']),
})

/** The schemas by their names in the document. */
export const SCHEMAS = {
  Record: record,
  Gap: gap,
  Cursor: cursor,
  Error: error,
  KongRecords: v.pipe(
    v.record(v.string(), v.object({ partitions: v.record(v.string(), kongPartition) })),
    v.description("Records by topic and partition, in the form of Kong's kafka-consume"),
  ),
  Records: v.object({
    records: v.array(record),
    cursor: v.optional(cursor),
    ended: v.pipe(
      v.optional(v.literal(true)),
      v.description('Nothing follows before the `end` that was given'),
    ),
    gaps: v.optional(v.array(gap)),
  }),
  Line: v.pipe(
    v.union([
      record,
      v.object({ gap }),
      v.object({ ended: v.literal(true), cursor }),
      v.object({ failure: error }),
    ]),
    v.description('A line of NDJSON; an empty one is a heartbeat'),
  ),
  NewRecord: newRecord,
  NewRecords: v.object({ records: v.array(newRecord) }),
  Written: v.pipe(
    v.object({ records: v.array(written) }),
    v.description('Where each record is, in the order of the request'),
  ),
  NotWritten: v.pipe(
    v.object({ ...error.entries, records: v.optional(v.array(v.union([written, failure]))) }),
    v.description('As an `Error`; where some records were written, what became of each'),
  ),
  Sent: v.object({ message: v.string() }),
  NotSent: v.pipe(
    v.object({ message: v.string(), error: v.string() }),
    v.description("Kong's form of an error: the status in words, and why"),
  ),
  Offsets: v.union([
    v.object({ cursor }),
    v.pipe(
      v.record(v.string(), v.record(v.string(), offset)),
      v.description('By topic and partition, the next offset to read'),
    ),
  ]),
  ReportedOffsets: v.object({
    group: v.pipe(
      v.optional(v.string()),
      v.description('The consumer group, on a route that reads as one'),
    ),
    partitions: v.array(
      v.object({
        topic: v.string(),
        partition: v.number(),
        begin: v.pipe(offset, v.description('The first offset that Kafka keeps')),
        end: v.pipe(offset, v.description('The offset after the newest record')),
        committed: v.pipe(
          v.optional(v.nullable(offset)),
          v.description(
            'Where the group goes on after a restart; null where it has committed none',
          ),
        ),
        lag: v.pipe(
          v.optional(v.nullable(v.number())),
          v.description('Offsets from there to the end'),
        ),
      }),
    ),
  }),
  Health: v.object({
    status: v.picklist(['alive', 'ready', 'unavailable']),
    reasons: v.optional(
      v.array(v.object({ code: v.string(), message: v.string(), since: v.string() })),
    ),
  }),
  Status: v.object({
    version: v.string(),
    routes: v.array(
      v.object({
        name: v.string(),
        paths: v.array(v.string()),
        hosts: v.array(v.string()),
        mode: v.string(),
        topics: v.array(v.string()),
        filters: v.pipe(
          v.optional(v.record(v.string(), v.string())),
          v.description('Named filters: expressions by name'),
        ),
        hasOwnFormat: v.pipe(
          v.optional(v.boolean()),
          v.description('Whether a function of the app makes what clients get of records'),
        ),
        cluster: v.optional(v.string()),
        streams: v.pipe(
          v.optional(v.number()),
          v.description('Open streams. Absent for clients with a scope'),
        ),
        groups: v.array(v.string()),
      }),
    ),
    clusters: v.array(
      v.object({
        name: v.string(),
        outage: v.optional(v.object({ code: v.string(), message: v.string(), since: v.string() })),
        brokers: v.array(v.object({ name: v.string(), up: v.boolean() })),
        topics: v.array(v.object({ name: v.string(), partitions: v.array(place) })),
      }),
    ),
    groups: v.array(
      v.object({
        id: v.string(),
        cluster: v.optional(v.string()),
        partitions: v.array(
          v.object({ topic: v.string(), partition: v.number(), lag: v.optional(v.number()) }),
        ),
      }),
    ),
  }),
  ...TOPIC_SCHEMAS,
} as const satisfies Record<string, v.GenericSchema>

/** A parameter of a request's query. */
interface Parameter {
  readonly schema: v.GenericSchema
  readonly description: string
  /** Whether the parameter may be repeated. */
  readonly isRepeatable?: boolean
}

const whole = (min: number, max: number, otherwise: number) =>
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max)), otherwise)

/** All parameters of queries by their names. */
export const PARAMETERS: Readonly<Record<string, Parameter>> = {
  format: {
    schema: v.picklist(['kong', 'records', 'value', 'cloudevents']),
    description:
      'What is shown of each record; default: as the route says, `kong` for a GET and `records` for a stream unless told otherwise. `kong` is for a GET only',
  },
  max_records: { schema: whole(1, 10_000, 500), description: 'Records at most' },
  max_bytes: {
    schema: whole(1, 16 * MIB, MIB),
    description: 'Bytes at most; a first record comes whatever its size',
  },
  timeout: {
    schema: whole(0, 60_000, 1_000),
    description: 'Milliseconds to wait for a first record; 0 does not wait',
  },
  cursor: {
    schema: cursor,
    description: 'Read on from there, without the group; one position may be given',
  },
  start: {
    schema: v.string(),
    description:
      '`earliest`, `latest`, an ISO 8601 time, a duration back from now such as `-PT10M` or `-10m`, or `-100` for the newest 100 records; without the group',
  },
  end: {
    schema: v.string(),
    description:
      'Where reading ends: a cursor, or a text as for `start` but for a number of records; needs a position to read from',
  },
  order: {
    schema: v.picklist(['time']),
    description:
      '`time`: the records of all partitions in the order of their timestamps, up to the present end; needs a position to read from',
  },
  version: {
    schema: v.string(),
    description:
      'That of the address in `Link`: caches may keep the page, since its address changes when a topic is re-created',
  },
  last_event_id: { schema: cursor, description: 'The same as `cursor`' },
  lastEventId: {
    schema: cursor,
    description:
      'A cursor that goes before any other position in the query: some clients append it to their URL when they reconnect',
  },
  topic: { schema: v.string(), description: 'Records of this topic only', isRepeatable: true },
  partition: {
    schema: v.pipe(v.number(), v.integer(), v.minValue(0)),
    description: 'Records of this partition only',
    isRepeatable: true,
  },
  key: { schema: v.string(), description: 'Records with this key only', isRepeatable: true },
  filter: {
    schema: v.string(),
    description: 'Records for which this expression in CEL is true',
  },
  acks: {
    schema: v.optional(v.picklist(['true', 'false']), 'false'),
    description: 'Whether to read as the group, and acknowledge',
  },
  max_unacked: {
    schema: whole(1, 10_000, 500),
    description: 'Records that may be unacknowledged at a time',
  },
}

/** The parameters of requests that write. */
export const WRITE_PARAMETERS: Readonly<Record<(typeof WRITE_NAMES)[number], Parameter>> = {
  topic: { schema: v.string(), description: 'For records that name none' },
  partition: {
    schema: v.pipe(v.number(), v.integer(), v.minValue(0)),
    description: "For records that name none; without it Kafka's is any, or goes by the key",
  },
  key: { schema: v.string(), description: 'For records that have none' },
}
