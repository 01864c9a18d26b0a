/**
 * Bodies of requests to the Admin API: entities as JSON or as a form, and declarative documents. A
 * body has at most 8 MiB.
 */
import type { Context } from 'hono'
import { isJsonObject } from '../../core/json-object.ts'
import { readLimited } from '../../core/read-limited.ts'
import { PLUGIN_NAMES } from '../config/plugins.ts'
import type { EntityKind } from '../model/entities.ts'
import type { KongFields } from '../model/field-description.ts'
import { errorAt, SchemaViolation } from '../model/schema-violation.ts'
import { Refusal } from './answers.ts'
import { entityFields } from './entity-fields.ts'
import { decodeForm, FormError } from './form.ts'
import { infer } from './infer-types.ts'

/** The most bytes of a body: some thousand routes. */
const MAX_BYTES = 8 * 1024 * 1024
const FORMS = ['application/x-www-form-urlencoded', 'multipart/form-data']
const YAML = ['application/yaml', 'text/yaml', 'application/x-yaml', 'text/x-yaml']

/**
 * Reads the entity of a request: JSON, or a form, whose texts are converted to the types of the
 * entity's fields. A request without a body has an empty entity.
 *
 * @param plugin The plugin whose `config` it is, if the request does not name the plugin.
 * @throws Refusal, SchemaViolation
 */
export async function readBody(
  c: Context,
  kind: EntityKind,
  plugin?: string,
): Promise<Record<string, unknown>> {
  const { type, text, bytes } = await read(c, [...FORMS, 'application/json'])
  if (type === undefined) return {}
  if (type !== 'application/json') {
    return readForm(await formFields(c, type, text, bytes), kind, plugin)
  }
  const value = parseJson(text)
  if (!isJsonObject(value)) {
    throw new Refusal(400, 'Cannot parse JSON body')
  }
  return { ...value }
}

/** A declarative document: the body, or its field `config`. */
export interface AdminDocument {
  readonly text: string
  readonly type: string
}

/** @throws Refusal */
export async function readDocument(c: Context): Promise<AdminDocument> {
  const { type, text, bytes } = await read(c, [...FORMS, ...YAML, 'application/json'])
  const document = await inField(c, type, text, bytes)
  if (document !== undefined) return { text: document, type: 'application/yaml' }
  if (type === undefined || FORMS.includes(type) || text.trim() === '') {
    throw new Refusal(400, 'expected a declarative configuration')
  }
  return { text, type }
}

/** The document in the field `config` of a form, or of JSON, which has it as text. */
async function inField(
  c: Context,
  type: string | undefined,
  text: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string | undefined> {
  if (type === undefined || YAML.includes(type)) return undefined
  if (FORMS.includes(type)) {
    const fields = await formFields(c, type, text, bytes)
    return fields.find(([name]) => name === 'config')?.[1]
  }
  const value = parseJson(text) as { readonly config?: unknown } | null
  const config = value?.config
  return typeof config === 'string' ? config : undefined
}

interface Body {
  /** The media type without parameters; undefined without a body. */
  readonly type: string | undefined
  readonly text: string
  readonly bytes: Uint8Array<ArrayBuffer>
}

async function read(c: Context, types: readonly string[]): Promise<Body> {
  const type = c.req.header('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== undefined && !types.includes(type)) throw unsupported()
  const bytes = await readBytes(c.req.raw)
  if (type === undefined && bytes.length > 0) throw unsupported()
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return { type, text, bytes }
  } catch {
    throw new Refusal(400, 'Cannot parse body: it is not UTF-8')
  }
}

function unsupported(): Refusal {
  return new Refusal(415, 'Unsupported media type')
}

async function readBytes({ body, headers }: Request): Promise<Uint8Array<ArrayBuffer>> {
  const isTooLong = Number(headers.get('content-length')) > MAX_BYTES
  const bytes = isTooLong ? undefined : await readLimited(body, MAX_BYTES)
  if (!bytes) throw new Refusal(413, `Cannot read body: it has more than ${MAX_BYTES} bytes`)
  return bytes
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal(400, 'Cannot parse JSON body')
  }
}

type BodyFields = ReadonlyArray<readonly [name: string, value: string]>

async function formFields(
  c: Context,
  type: string,
  text: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<BodyFields> {
  try {
    if (type === 'application/x-www-form-urlencoded') return urlEncoded(text)
    const headers = { 'content-type': c.req.header('content-type') ?? '' }
    const form = await new Response(bytes, { headers }).formData()
    return await Promise.all(
      [...form].map(async ([name, value]) => {
        return [name, typeof value === 'string' ? value : await value.text()] as const
      }),
    )
  } catch {
    throw new Refusal(400, 'Cannot parse form body')
  }
}

/** Decodes a URL-encoded form. `URLSearchParams` would replace bytes that are not valid UTF-8. */
function urlEncoded(text: string): BodyFields {
  const pairs = text.split('&').filter((pair) => pair !== '')
  return pairs.map((pair) => {
    const at = pair.indexOf('=')
    const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
    return [decode(name), decode(value)]
  })
}

function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}

const fieldsOf = new Map<string, KongFields>()

function readForm(form: BodyFields, kind: EntityKind, plugin?: string): Record<string, unknown> {
  const named = kind === 'plugins' ? form.find(([name]) => name === 'name')?.[1] : undefined
  const name = PLUGIN_NAMES.find((one) => one === (named ?? plugin))
  const key = `${kind} ${name}`
  const fields = fieldsOf.get(key) ?? entityFields(kind, name)
  fieldsOf.set(key, fields)
  try {
    return infer(decodeForm(form), fields)
  } catch (error) {
    if (!(error instanceof FormError)) throw error
    throw new SchemaViolation(errorAt(error.field.split('.'), error.message))
  }
}
