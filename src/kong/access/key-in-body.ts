/** Keys in the bodies of requests: a field of a JSON object, or of a form. */
import type { Context } from 'hono'
import { isJsonObject } from '../../core/json-object.ts'
import { readRequestBody, replaceBody, WHOLE_REQUEST } from '../../http/request/request-body.ts'

/** A body whose fields may be keys. */
export interface KeyedBody {
  /** The texts of a field; empty where there is none. */
  all(name: string): readonly string[]
  /** Takes a field out of the body that later readers get. */
  remove(name: string): void
}

const NO_FIELDS: KeyedBody = { all: () => [], remove: () => undefined }

/**
 * Reads a body. One of another type, or that is not valid, has no fields.
 *
 * @throws KafkaConsumeError for a body that is too large or did not arrive.
 */
export async function readKeyedBody(c: Context): Promise<KeyedBody> {
  const type = c.req.header('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === 'application/json') return jsonBody(c, await readText(c))
  if (type === 'application/x-www-form-urlencoded') return formBody(c, await readText(c))
  return NO_FIELDS
}

async function readText(c: Context): Promise<string> {
  return new TextDecoder().decode(await readRequestBody(c, WHOLE_REQUEST))
}

function jsonBody(c: Context, text: string): KeyedBody {
  let fields: unknown
  try {
    fields = JSON.parse(text, withAllDigits)
  } catch {
    return NO_FIELDS
  }
  if (!isJsonObject(fields)) return NO_FIELDS
  const rest: Record<string, unknown> = fields
  return {
    all: (name) => {
      const found = Object.hasOwn(rest, name) ? rest[name] : undefined
      return [found].flat().filter((value) => typeof value === 'string')
    },
    remove: (name) => {
      delete rest[name]
      replaceBody(c, new TextEncoder().encode(JSON.stringify(rest)))
    },
  }
}

/** Reviver of `JSON.parse`: keeps a number as it is written, for `JSON.stringify`. */
function withAllDigits(this: unknown, _key: string, value: unknown, ...rest: unknown[]): unknown {
  const [context] = rest as [{ readonly source: string }]
  return typeof value === 'number' ? rawJson(context.source) : value
}

/** ES2026, which TypeScript does not know yet. */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown }

function formBody(c: Context, text: string): KeyedBody {
  const fields = new URLSearchParams(text)
  return {
    all: (name) => fields.getAll(name),
    remove: (name) => {
      fields.delete(name)
      replaceBody(c, new TextEncoder().encode(fields.toString()))
    },
  }
}
