/** The JSON Schemas of `/topics` and `/topics/{topic}`. */
import * as v from 'valibot'

/** A partition with its offsets. */
export const place = v.object({ partition: v.number(), start: v.number(), end: v.number() })

const topicsError = v.object({
  code: v.string(),
  message: v.string(),
  retryable: v.optional(v.boolean()),
})

/** Bytes on the disks of brokers. */
const size = v.object({
  bytes: v.pipe(
    v.nullable(v.number()),
    v.description("Bytes of the leaders' replicas; `null` where that of a partition is unknown"),
  ),
  replicaBytes: v.pipe(
    v.nullable(v.number()),
    v.description('Bytes of all replicas; `null` where that of one is unknown'),
  ),
})
const sizeError = v.optional(v.omit(topicsError, ['retryable']))

/** The schemas by their names in the document. */
export const TOPIC_SCHEMAS = {
  Topics: v.object({
    clusters: v.array(
      v.object({
        name: v.string(),
        error: v.optional(topicsError),
        topics: v.array(
          v.object({
            name: v.string(),
            routes: v.array(v.string()),
            partitions: v.number(),
            records: v.number(),
            end: v.number(),
            ...size.entries,
            rate: v.nullable(v.number()),
            replicas: v.number(),
            underReplicated: v.number(),
            groups: v.array(v.object({ id: v.string(), state: v.string(), lag: v.number() })),
          }),
        ),
        sizeError,
        groupsLeftOut: v.number(),
      }),
    ),
  }),
  Topic: v.object({
    cluster: v.string(),
    error: v.optional(topicsError),
    name: v.string(),
    routes: v.array(v.string()),
    ...size.entries,
    sizeError,
    rate: v.nullable(v.number()),
    partitions: v.array(
      v.object({
        ...place.entries,
        ...size.entries,
        rate: v.nullable(v.number()),
        leader: v.nullable(v.number()),
        replicas: v.array(v.number()),
        inSync: v.array(v.number()),
      }),
    ),
    groups: v.array(
      v.object({
        id: v.string(),
        state: v.string(),
        members: v.number(),
        lag: v.number(),
        partitions: v.array(
          v.object({ partition: v.number(), committed: v.number(), lag: v.number() }),
        ),
      }),
    ),
    groupsLeftOut: v.number(),
    configuration: v.nullable(
      v.array(
        v.object({ name: v.string(), value: v.nullable(v.string()), isDefault: v.boolean() }),
      ),
    ),
  }),
} as const satisfies Record<string, v.GenericSchema>
