/**
 * The request to a consumer that it encode records itself: the texts around each record, given as
 * data, and the bytes that come back. This file knows no format of its own.
 */
import type { TopicPartition } from '../core/topic-partition.ts'

/** The form of an answer with all records of a delivery. It is plain data, which other threads can be sent. */
export interface DeliveryLayout {
  /**
   * `lines`: a record a line; `array`: a JSON array; `flat`: an object with records and gaps; `kong`: Kong's
   * form, by topic and partition.
   */
  readonly list: 'lines' | 'flat' | 'kong' | 'array'
  /** See {@link RecordTexts.content}. */
  readonly content: RecordTexts['content']
  /** See {@link RecordTexts.valuesAreJson}. */
  readonly valuesAreJson: boolean
}

/** The JSON of records of a delivery, among other texts. */
export interface RecordTexts {
  /** Written one after another. */
  readonly parts: ReadonlyArray<string | RunText>
  /** Whether a value is inserted as the JSON that it is, instead of as a string. */
  readonly valuesAreJson: boolean
  /** `value`: the value alone, except for a record with an error, which is written whole. */
  readonly content: 'record' | 'value'
  /**
   * Whether the caller copies the bytes before its next call, so that they may lie in a buffer that is
   * used again. Default: false.
   */
  readonly mayReuseBuffer?: boolean
}

/** All records of a run. */
export interface RunText {
  readonly run: DeliveredRun
  /** The beginning of each record's JSON, up to its offset. */
  readonly prefix: string
  /** The text between two records. */
  readonly separator: string
}

/** Neighbouring records of one partition in a delivery. */
export interface DeliveredRun extends TopicPartition {
  /** Index of the first record in the delivery. */
  readonly begin: number
  /** Index after the last record. */
  readonly end: number
  /** The offset of each record, ascending. */
  readonly offsets: Float64Array
}

/** The request that a read bring encoded records. */
export interface EncodingRequest {
  /** How records are encoded. Reads of one subscription share one object. */
  readonly spec: EncodingSpec
  /** The next offset of each partition, at which reading goes on. {@link EncodedRecords} keeps it. */
  readonly from: Float64Array
}

/** How the records of a subscription are encoded, with one entry for each of its partitions. */
export interface EncodingSpec {
  readonly layout: EncodedRecordLayout
  readonly partitions: readonly TopicPartition[]
  /** The text before each partition's offset in a cursor. Empty: records have no cursors. */
  readonly labels: readonly string[]
  /**
   * Whether offsets in a cursor are digits to the base 64, in the alphabet of RFC 4648 §5. The offsets
   * of a topic begin with a label that is not empty, then have the number of their digits as a digit,
   * and have as many digits as the largest of them needs.
   */
  readonly isCompact: boolean
  /** The beginning of a record's JSON, up to its offset. */
  readonly prefixes: readonly string[]
  /** Bytes of one read, more or less. */
  readonly readBytes: number
  /** Whether a value is inserted as the JSON that it is, instead of as a string. */
  readonly valuesAreJson: boolean
}

/** The texts around a record's JSON and around the cursor that may follow it. All of them are ASCII. */
export interface EncodedRecordLayout {
  readonly beforeJson: string
  readonly beforeCursor: string
  readonly afterCursor: string
}

/** Encoded records one after another, and the place of each. */
export interface EncodedRecords {
  /** `<beforeJson><json><beforeCursor><cursor><afterCursor>` for each record. */
  readonly bytes: Uint8Array
  /** The index of each record's first byte, and at the end the number of bytes. */
  readonly starts: Uint32Array
  /** The index after the last byte of each record's JSON. */
  readonly jsonEnds: Uint32Array
  /** The index of each record's partition in {@link EncodingSpec.partitions}. */
  readonly partitions: Uint32Array
  readonly offsets: Float64Array
  /** The next offset of each partition before the first record. */
  readonly from: Float64Array
  /** The next offset of each partition after the last record. */
  readonly to: Float64Array
  /** The first record's timestamp, which is the oldest or nearly so; -1 where it has none. */
  readonly timestamp: number
}
