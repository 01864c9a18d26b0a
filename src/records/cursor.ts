/**
 * A cursor is a vector: for every partition of a subscription, the next offset to read. As text it
 * reads `orders:0=43,1=17;payments:0=5`. It holds nothing but Kafka offsets, so any node can serve it.
 * The ids of records are shorter where there are many partitions (`compact-cursor.ts`).
 */

import { KafkaConsumeError } from '../core/errors.ts'
import { partitionKey, type TopicPartition } from '../core/topic-partition.ts'
import type { OffsetQuery, PartitionOffset } from '../port/kafka.ts'
import {
  COMPACT,
  compactDigits,
  compactLabel,
  compactNumber,
  MAX_COMPACT_PARTITIONS,
  parseCompact,
  shortName,
} from './compact-cursor.ts'

/** The most characters of a cursor: Bun refuses request headers that are much longer. */
export const MAX_CURSOR_LENGTH = 16 * 1024

/** The most partitions of a table whose ids name each topic and partition. */
export const MAX_NAMED_PARTITIONS = 32

/**
 * An entry of a cursor that a client sent: an offset, or a query that Kafka is yet to resolve. A
 * {@link PartitionTable} finds its topic by the name, or by the short name of the compact form.
 */
export type CursorEntry = PartitionOffset | (TopicPartition & { readonly query: OffsetQuery })

/** The partitions of a subscription, each with its index in every vector. */
export class PartitionTable {
  readonly partitions: readonly TopicPartition[]
  /** The text before each offset in a cursor. All cursors of a table share the labels. */
  readonly labels: readonly string[]
  /** The text before each offset in an id in the compact form; undefined where ids have {@link labels}. */
  readonly compactLabels: readonly string[] | undefined
  /** By name and by short name. */
  readonly #index = new Map<string, Map<number, number>>()

  constructor(partitions: readonly TopicPartition[]) {
    this.partitions = partitions
    this.labels = partitions.map(({ topic, partition }, index) => {
      const previous = partitions[index - 1]
      if (previous?.topic === topic) return `,${partition}=`
      return `${previous ? ';' : ''}${topic}:${partition}=`
    })
    partitions.forEach(({ topic, partition }, index) => {
      const ofTopic = this.#index.get(topic) ?? new Map<number, number>()
      this.#index.set(topic, ofTopic.set(partition, index))
    })
    this.compactLabels =
      partitions.length > MAX_NAMED_PARTITIONS ? this.#compactLabels() : undefined
    for (const [short, topics] of Map.groupBy([...this.#index.keys()], shortName)) {
      // Two topics with one short name cannot be told apart: an id that has it is refused.
      if (topics.length === 1) this.#index.set(short, this.#index.get(topics[0] as string) as never)
    }
  }

  /** @returns nothing where the compact form cannot tell the partitions apart. */
  #compactLabels(): readonly string[] | undefined {
    const counts = [...this.#index].map(([topic, { size }]) => [topic, size] as const)
    const expected = counts.flatMap(([topic, size]) =>
      Array.from({ length: size }, (_, partition) => partitionKey({ topic, partition })),
    )
    const areConsecutive = this.partitions.every(
      (partition, index) => partitionKey(partition) === expected[index],
    )
    const isDistinct = new Set(counts.map(([topic]) => shortName(topic))).size === counts.length
    const isLarge = counts.some(([, size]) => size > MAX_COMPACT_PARTITIONS)
    if (!areConsecutive || !isDistinct || isLarge) return undefined
    return counts.flatMap(([topic, size], index) => [
      (index === 0 ? COMPACT : '') + compactLabel(topic, size),
      ...Array<string>(size - 1).fill(''),
    ])
  }

  get size(): number {
    return this.partitions.length
  }

  /** The index of a partition; -1 when the subscription does not have it. */
  indexOf(topic: string, partition: number): number {
    return this.#index.get(topic)?.get(partition) ?? -1
  }

  hasTopic(topic: string): boolean {
    return this.#index.has(topic)
  }

  /** Offsets as a vector. A partition without an offset gets `otherwise`. */
  vector(offsets: readonly PartitionOffset[], otherwise = 0): Float64Array {
    const vector = new Float64Array(this.size).fill(otherwise)
    for (const { topic, partition, offset } of offsets) {
      const index = this.indexOf(topic, partition)
      if (index >= 0) vector[index] = offset
    }
    return vector
  }

  /** A vector as a list of offsets. */
  offsets(vector: Float64Array): PartitionOffset[] {
    return this.partitions.map(({ topic, partition }, index) => ({
      topic,
      partition,
      offset: vector[index] as number,
    }))
  }
}

/**
 * A position that moves, its text, and the ids of records. Records come in runs of one partition.
 * During a run, the text before and after the partition's offset is kept, so that each move costs one
 * concatenation.
 */
export class Cursor {
  readonly table: PartitionTable
  readonly vector: Float64Array
  #run = -1
  #before = ''
  #after = ''
  /** Digits of the run's offset that it needs, and that all offsets of its topic have, in the compact form. */
  #needed = 0
  #digits = 0

  constructor(table: PartitionTable, vector: Float64Array) {
    this.table = table
    this.vector = vector.slice()
  }

  /**
   * Moves one partition to its next offset.
   *
   * @returns the whole cursor as the id of a record: compact where the table has many partitions.
   */
  advance(index: number, next: number): string {
    this.vector[index] = next
    const { compactLabels } = this.table
    if (!compactLabels) {
      if (index !== this.#run) this.#enter(index)
      return this.#before + next + this.#after
    }
    const needed = compactDigits(next)
    if (index !== this.#run || needed !== this.#needed) {
      this.#needed = needed
      this.#enterCompact(index, compactLabels)
    }
    return this.#before + compactNumber(next, this.#digits) + this.#after
  }

  /** Moves the whole cursor. */
  moveTo(vector: Float64Array): void {
    this.vector.set(vector)
    this.#run = -1
  }

  /** Moves one partition without asking for the text. */
  set(index: number, next: number): void {
    this.vector[index] = next
    if (index !== this.#run) this.#run = -1
  }

  toString(): string {
    let text = ''
    for (let i = 0; i < this.table.labels.length; i++)
      text += `${this.table.labels[i]}${this.vector[i]}`
    return text
  }

  #enter(index: number): void {
    this.#run = index
    this.#before = ''
    this.#after = ''
    for (let i = 0; i < index; i++) this.#before += `${this.table.labels[i]}${this.vector[i]}`
    this.#before += this.table.labels[index]
    for (let i = index + 1; i < this.table.labels.length; i++) {
      this.#after += `${this.table.labels[i]}${this.vector[i]}`
    }
  }

  #enterCompact(index: number, labels: readonly string[]): void {
    this.#run = index
    this.#before = ''
    this.#after = ''
    let digits = 0
    for (let i = 0; i < labels.length; i++) {
      let label = labels[i] as string
      if (label !== '') {
        digits = this.#digitsOfTopic(i, labels)
        label += compactNumber(digits, 1)
      }
      if (i === index) {
        this.#before += label
        this.#digits = digits
      } else {
        const text = label + compactNumber(this.vector[i] as number, digits)
        if (i < index) this.#before += text
        else this.#after += text
      }
    }
  }

  /** Digits of the topic's largest offset. */
  #digitsOfTopic(first: number, labels: readonly string[]): number {
    let digits = compactDigits(this.vector[first] as number)
    for (let i = first + 1; i < labels.length && labels[i] === ''; i++) {
      digits = Math.max(digits, compactDigits(this.vector[i] as number))
    }
    return digits
  }
}

/** The cursor of a position, as clients send it back. */
export function cursorText(table: PartitionTable, vector: Float64Array): string {
  return new Cursor(table, vector).toString()
}

const TOPIC = /^[a-zA-Z0-9._-]{1,249}$/
const PARTITION = /^(0|[1-9]\d{0,9})$/
const OFFSET = /^(0|[1-9]\d{0,15})$/
const FORM = 'topic:partition=offset,…;topic:…'

/** The meaning of offsets below 0 in Kafka's clients, which KafkaSSE writes into its ids. */
const LOGICAL_OFFSETS: ReadonlyMap<number, OffsetQuery> = new Map([
  [-1, 'latest'],
  [-2, 'earliest'],
] as const)

/**
 * Parses a cursor's text: ours, its compact form, or KafkaSSE's JSON array of `{topic, partition, offset}` and
 * `{topic, partition, timestamp}` (ms since 1970). In KafkaSSE's, the offset -1 is the end, -2 is the
 * beginning, and a timestamp counts only without an offset from 0.
 *
 * @param text At most {@link MAX_CURSOR_LENGTH} characters.
 * @param parameter The name of the client's parameter, for messages: `cursor`, `Last-Event-ID`, …
 * @throws KafkaConsumeError INVALID_CURSOR, whose message names the parameter and the form.
 */
export function parseCursor(text: string, parameter: string): CursorEntry[] {
  const fail = (state: string): never => {
    throw new KafkaConsumeError('INVALID_CURSOR', `Cannot parse ${parameter}: ${state}`)
  }
  if (text.length > MAX_CURSOR_LENGTH) {
    fail(`it has ${text.length} characters, at most ${MAX_CURSOR_LENGTH} are allowed`)
  }
  const entries = parseEntries(text, fail)
  const seen = new Set<string>()
  for (const { topic, partition } of entries) {
    const name = partitionKey({ topic, partition })
    if (seen.has(name)) fail(`partition ${partition} of topic "${topic}" is named twice`)
    seen.add(name)
  }
  return entries
}

type Fail = (state: string) => never

function parseEntries(text: string, fail: Fail): CursorEntry[] {
  if (text.startsWith(COMPACT)) return parseCompact(text, fail)
  return text.trimStart().startsWith('[') ? parseArray(text, fail) : parseText(text, fail)
}

function parseText(text: string, fail: Fail): CursorEntry[] {
  const entries: CursorEntry[] = []
  for (const part of text.split(';')) {
    const colon = part.indexOf(':')
    const topic = part.slice(0, Math.max(colon, 0))
    if (!TOPIC.test(topic)) fail(`"${FORM}" is expected, as an earlier answer gave it`)
    for (const pair of part.slice(colon + 1).split(',')) {
      const [partition = '', offset = '', ...more] = pair.split('=')
      if (more.length > 0 || !PARTITION.test(partition)) {
        fail(`a partition of topic "${topic}" is not a whole number from 0; "${FORM}" is expected`)
      }
      if (!OFFSET.test(offset) || !Number.isSafeInteger(Number(offset))) {
        fail(`the offset of ${topic}:${partition} must be a whole number from 0 to 2^53-1`)
      }
      entries.push({ topic, partition: Number(partition), offset: Number(offset) })
    }
  }
  return entries
}

function parseArray(text: string, fail: Fail): CursorEntry[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return fail('it begins like a JSON array, but is not valid JSON')
  }
  if (!Array.isArray(parsed) || parsed.length === 0) return fail('the array has no entries')
  return parsed.map((entry: unknown) => parseEntry(entry, fail))
}

function parseEntry(entry: unknown, fail: Fail): CursorEntry {
  if (typeof entry !== 'object' || entry === null) return fail('an entry is not an object')
  const { topic, partition, offset, timestamp } = entry as { [name: string]: unknown }
  if (typeof topic !== 'string' || !TOPIC.test(topic)) return fail('an entry has no valid topic')
  if (!isWhole(partition)) {
    return fail(`the partition of topic "${topic}" must be a whole number from 0`)
  }
  if (isWhole(offset)) return { topic, partition, offset }
  const name = partitionKey({ topic, partition })
  const logical = typeof offset === 'number' ? LOGICAL_OFFSETS.get(offset) : undefined
  if (isGiven(offset) && !logical) {
    return fail(
      `the offset of ${name} must be a whole number from 0 to 2^53-1, -1 for the end or -2 for the beginning`,
    )
  }
  if (isWhole(timestamp)) return { topic, partition, query: timestamp }
  if (isGiven(timestamp)) {
    return fail(`the timestamp of ${name} must be a whole number from 0 to 2^53-1`)
  }
  if (!logical) return fail(`the entry of ${name} needs an offset or a timestamp`)
  return { topic, partition, query: logical }
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
