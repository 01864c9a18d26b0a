import type { Gap } from '../port/kafka.ts'
import type { ConsumedRecord } from '../records/consumed-record.ts'
import type { SchemaIssue, SchemaOutput, StandardSchema } from '../records/standard-schema.ts'
import type { KafkaStreamError } from './errors.ts'

/** A record, and the position after it. */
export interface ReceivedRecord<Topic extends string = string, Value = unknown>
  extends Omit<ConsumedRecord, 'topic' | 'value'> {
  /** Name of the topic. */
  readonly topic: Topic
  /** The record's value as the route, or a schema, returns it. */
  readonly value: Value
  /** The position of all partitions after the record: a stream from there continues with the next one. */
  readonly cursor: string
}

/** One schema for the values of all topics, or one for each topic. */
export type ValueSchemas = StandardSchema | Readonly<Record<string, StandardSchema>>

/** A record whose value has the type of its schema; with a schema for each topic, a union by `topic`. */
export type RecordBySchema<Schemas extends ValueSchemas | undefined> =
  Schemas extends StandardSchema
    ? ReceivedRecord<string, SchemaOutput<Schemas>>
    : Schemas extends Readonly<Record<string, StandardSchema>>
      ? {
          [Topic in keyof Schemas & string]: ReceivedRecord<Topic, SchemaOutput<Schemas[Topic]>>
        }[keyof Schemas & string]
      : ReceivedRecord

/** Where reading begins, and which records are wanted. See docs/positions.md. */
export interface ReadOptions {
  /** `earliest`, `latest`, a time (RFC 3339), a duration back from now (`-10m`), or `-100` for the newest 100 records. Default: the route's. */
  readonly start?: string
  /** The `cursor` of an earlier record: reading continues exactly there. Takes precedence over `start`. */
  readonly cursor?: string
  /**
   * Where reading ends: a cursor, or a text as for `start`, as it is when the request comes. The loop
   * then ends, too. Default: reading has no end.
   */
  readonly end?: string
  /** An expression in CEL that is true for wanted records: `value.total > 100`. */
  readonly filter?: string
  /** Names of topics. */
  readonly topic?: string | readonly string[]
  /** Numbers of partitions. */
  readonly partition?: number | readonly number[]
  /** Keys of wanted records. */
  readonly key?: string | readonly string[]
}

/** How records are received. */
export interface ReceiveOptions<Schemas extends ValueSchemas | undefined> extends ReadOptions {
  /**
   * Validates and types the values: one schema, or one for each topic. The route gives values as JSON
   * with `messageDeserializer: 'json'` or a schema registry; otherwise values are text.
   */
  readonly schema?: Schemas
  /** Called for a record that does not fit its schema, which is left out. Default: a warning on the console. */
  readonly onInvalid?: (record: ReceivedRecord, issues: readonly SchemaIssue[]) => void
  /** Called for offsets that Kafka no longer has. Default: a warning on the console. */
  readonly onGap?: (gap: Gap) => void
  /** Called when the position moves without a record. */
  readonly onCursor?: (cursor: string) => void
  /** Called when a connection is open. */
  readonly onOpen?: () => void
  /** Called before a wait of `delay` ms, after which the client connects again. */
  readonly onRetry?: (error: KafkaStreamError, delay: number) => void
  /** Ends the reading: the loop throws the signal's reason. */
  readonly signal?: AbortSignal
}

/** How far a client has read. */
export interface ReadPosition {
  /** The newest cursor; undefined before the first one. */
  cursor: string | undefined
}

/** @returns The error for an argument that cannot be used. A retry does not help: the program must change. */
export function wrongArgument(state: string): TypeError {
  return new TypeError(`Cannot read the stream: ${state}`)
}

/** The options that are parameters of a request. */
const PARAMETERS = ['start', 'end', 'filter', 'topic', 'partition', 'key'] as const

/**
 * The address with the parameters of a request. A cursor takes the place of a start.
 *
 * @throws TypeError
 */
export function addressOf(url: string | URL, options: ReadOptions, { cursor }: ReadPosition): URL {
  const base = globalThis.location?.href
  if (!URL.canParse(url, base)) throw wrongArgument('the URL is not valid, or not absolute')
  const address = new URL(url, base)
  const { searchParams } = address
  for (const name of PARAMETERS) {
    const values = [options[name]].flat().filter((value) => value !== undefined)
    values.forEach((value, index) => {
      searchParams[index ? 'append' : 'set'](name, `${value}`)
    })
  }
  if (cursor) {
    searchParams.delete('start')
    searchParams.delete('last_event_id')
    searchParams.set('cursor', cursor)
  }
  return address
}

/** Announces offsets that Kafka no longer has. */
export function reportGap(gap: Gap, onGap: ((gap: Gap) => void) | undefined): void {
  if (onGap) onGap(gap)
  else console.warn('hono-kafka-consume: Kafka no longer has', gap)
}
