/** Fields of a log's entry by Lua, under names such as `a.b` and `a[1].b`. */
import { isJsonObject } from '../../core/json-object.ts'
import { logOf } from '../../core/log.ts'
import { type FieldPath, parseFieldPath } from '../../options/field-path.ts'
import { LuaRunner } from '../../records/lua/runner.ts'
import type { LogEntry } from './log-entry.ts'

const log = logOf('log')

/** The result of one chunk: its value, or nothing to remove the field. */
interface FieldResult {
  readonly value?: unknown
  readonly error?: string
}

export class CustomFields {
  readonly #paths: readonly FieldPath[]
  readonly #lua: LuaRunner

  /** @param fields Lua by the name of the field that it returns. */
  constructor(fields: Readonly<Record<string, string>>) {
    this.#paths = Object.keys(fields).map((name) => parseFieldPath(name) ?? [])
    this.#lua = new LuaRunner(Object.values(fields), 'fields')
  }

  /**
   * Sets and removes fields of an entry. One whose Lua fails stays as it is, and the log says why.
   *
   * @param context What Lua may know of the request, as JSON.
   * @throws KafkaConsumeError when Lua cannot be run at all.
   */
  async apply(entry: LogEntry, context: string): Promise<void> {
    const result = await this.#lua.run(context)
    if (result.status !== 'done') {
      const error = result.status === 'dropped' ? '' : result.error
      log.warn('Cannot set custom fields of a log: {error}', { error })
      return
    }
    const fields = JSON.parse(result.results[0] ?? '[]') as readonly FieldResult[]
    for (const [index, { value, error }] of fields.entries()) {
      const path = this.#paths[index] as FieldPath
      if (error === undefined) setField(entry, path, value)
      else log.warn('Cannot set field {path} of a log: {error}', { path: path.join('.'), error })
    }
  }

  close(): Promise<void> {
    return this.#lua.close()
  }
}

/** @param value Undefined: the field is removed. */
function setField(entry: LogEntry, path: FieldPath, value: unknown): void {
  let at: Container = entry
  for (const [depth, step] of path.slice(0, -1).entries()) {
    const inner = ownCopy(at[keyOf(step)], typeof path[depth + 1] === 'number')
    if (!inner && value === undefined) return
    const next = inner ?? (typeof path[depth + 1] === 'number' ? [] : {})
    define(at, keyOf(step), next)
    at = next as Container
  }
  const last = keyOf(path.at(-1) as string | number)
  if (value !== undefined) define(at, last, value)
  else if (Array.isArray(at)) at.splice(Number(last), 1)
  else delete at[last]
}

type Container = Record<string | number, unknown>

/** A copy of an array or an object, since an entity of the gateway's own must not change. */
function ownCopy(value: unknown, isArray: boolean): unknown[] | object | undefined {
  if (isArray) return Array.isArray(value) ? [...value] : undefined
  return isJsonObject(value) ? { ...value } : undefined
}

/** Lua counts from 1. */
function keyOf(step: string | number): string | number {
  return typeof step === 'number' ? step - 1 : step
}

/** Sets a field whatever its name: `__proto__` is one like others. */
function define(target: object, key: string | number, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  })
}
