/** The forms in which records of one read are encoded, and what a consumer is asked for to get them. */
import type { EncodedRecordLayout, EncodingSpec } from '../port/encoding.ts'
import type { PartitionTable } from './cursor.ts'
import { encodePrefix, type MessageDeserializer } from './encode.ts'

const encoder = new TextEncoder()

/**
 * The bytes of a batch hold of each record:
 * - `events`: events of an event stream, with the cursor after the record as its id;
 * - `lines`: its JSON and a line break;
 * - `list`: its JSON and a comma;
 * - `fields`: its JSON without topic and partition, and a comma.
 *
 * All but `events` are for one client, which then gets the bytes as they are. The id of an event names
 * all partitions, and may be longer than its record.
 */
export type BatchForm = 'events' | 'lines' | 'list' | 'fields'

/**
 * The `id` of an event comes last, since many clients keep an id as soon as they have read its line.
 * When a connection breaks inside an event, such a client resumes behind the last record whose event
 * was whole.
 *
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export const LAYOUTS: Readonly<Record<BatchForm, EncodedRecordLayout>> = {
  events: { beforeJson: 'data: ', beforeCursor: '\nid: ', afterCursor: '\n\n' },
  lines: { beforeJson: '', beforeCursor: '\n', afterCursor: '' },
  list: { beforeJson: '', beforeCursor: ',', afterCursor: '' },
  fields: { beforeJson: '', beforeCursor: ',', afterCursor: '' },
}

/** Bytes of one read for a stream: it makes a copy of its own of a batch above 512 KiB (`stream.ts`). */
const STREAM_READ_BYTES = 384 * 1024
/** Bytes of one read for an answer: all of a page of 1,000 records of 1 KB. */
const ANSWER_READ_BYTES = 1536 * 1024

/** The opening brace of a record without topic and partition. */
export const BEFORE_FIELDS = '{'

/** The separator after the JSON of a record without a cursor. */
export const SEPARATORS = {
  lines: encoder.encode(LAYOUTS.lines.beforeCursor),
  list: encoder.encode(LAYOUTS.list.beforeCursor),
  fields: encoder.encode(LAYOUTS.fields.beforeCursor),
}

const specs = new WeakMap<PartitionTable, Map<string, EncodingSpec>>()

/** How a consumer is to encode records in a form; cached by table. */
export function encodingSpec(
  table: PartitionTable,
  deserializer: MessageDeserializer,
  form: BatchForm,
): EncodingSpec {
  const ofTable = specs.get(table) ?? new Map<string, EncodingSpec>()
  specs.set(table, ofTable)
  const key = `${deserializer} ${form}`
  const spec = ofTable.get(key) ?? makeSpec(table, deserializer, form)
  ofTable.set(key, spec)
  return spec
}

function makeSpec(
  { partitions, labels, compactLabels }: PartitionTable,
  deserializer: MessageDeserializer,
  form: BatchForm,
): EncodingSpec {
  return {
    layout: LAYOUTS[form],
    partitions,
    labels: form === 'events' ? (compactLabels ?? labels) : [],
    isCompact: compactLabels !== undefined,
    prefixes: partitions.map(({ topic, partition }) =>
      form === 'fields' ? BEFORE_FIELDS : encodePrefix(topic, partition),
    ),
    readBytes: form === 'events' || form === 'lines' ? STREAM_READ_BYTES : ANSWER_READ_BYTES,
    valuesAreJson: deserializer === 'json',
  }
}
