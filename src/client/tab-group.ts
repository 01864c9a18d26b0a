/** Tabs of one origin that read an address by one connection: one of them leads, and tells the others. */
import { partitionKey } from '../core/topic-partition.ts'
import type { Gap } from '../port/kafka.ts'
import type { ReportedError } from './errors.ts'
import type { ReceivedRecord } from './record.ts'

/** A message between tabs. */
export type TabMessage =
  /** A tab that has no position yet asks the leader for its own. */
  | { readonly type: 'join' }
  /** A new leader asks how far the tabs have read, */
  | { readonly type: 'ask' }
  /** and each tab answers. */
  | { readonly type: 'at'; readonly cursor: string }
  /** A tab that has heard nothing of the leader for long asks whether it runs, */
  | { readonly type: 'ping' }
  /** and the leader answers. */
  | { readonly type: 'alive' }
  /** Messages of the leader about its stream. */
  | { readonly type: 'record'; readonly record: ReceivedRecord }
  | { readonly type: 'gap'; readonly gap: Gap }
  | { readonly type: 'cursor'; readonly cursor: string }
  | { readonly type: 'open' }
  | { readonly type: 'end' }
  | { readonly type: 'retry'; readonly error: ReportedError; readonly delay: number }
  | { readonly type: 'failed'; readonly error: ReportedError }

/** The next offset of each partition, by `topic:partition`. */
export class TabPositions {
  readonly #offsets = new Map<string, number>()

  /** The cursor of these positions; undefined before the first one. */
  get cursor(): string | undefined {
    if (this.#offsets.size === 0) return undefined
    const topics = new Map<string, string[]>()
    for (const [key, offset] of this.#offsets) {
      const at = key.lastIndexOf(':')
      const topic = key.slice(0, at)
      topics.set(topic, [...(topics.get(topic) ?? []), `${key.slice(at + 1)}=${offset}`])
    }
    return [...topics].map(([topic, entries]) => `${topic}:${entries.join(',')}`).join(';')
  }

  /** Moves behind a record. @returns Whether it is new to this tab. */
  moveBehind(record: ReceivedRecord): boolean {
    const key = partitionKey(record)
    const isNew = record.offset >= (this.#offsets.get(key) ?? 0)
    if (isNew) this.#offsets.set(key, record.offset + 1)
    return isNew
  }

  /** Moves over a gap. @returns Whether it is new to this tab. */
  moveOver({ topic, partition, from, to, reason }: Gap): boolean {
    const key = partitionKey({ topic, partition })
    const offset = this.#offsets.get(key) ?? from
    const isNew = reason === 'retention' ? offset < to : offset >= from
    if (isNew) this.#offsets.set(key, to)
    return isNew
  }

  /** Moves on to a cursor, in each partition where it is later. */
  moveTo(cursor: string): void {
    this.#merge(cursor, Math.max)
  }

  /** Moves back to a cursor, in each partition where it is earlier. */
  moveBack(cursor: string): void {
    this.#merge(cursor, Math.min)
  }

  #merge(cursor: string, choose: (one: number, other: number) => number): void {
    for (const part of cursor.split(';')) {
      const at = part.lastIndexOf(':')
      for (const entry of part.slice(at + 1).split(',')) {
        const [partition, offset] = entry.split('=').map(Number) as [number, number]
        const key = partitionKey({ topic: part.slice(0, at), partition })
        this.#offsets.set(key, choose(offset, this.#offsets.get(key) ?? offset))
      }
    }
  }
}
