import { LruMap } from '../core/lru-map.ts'
import type { RegistryOptions } from '../options/registry-options.ts'
import type { RecordSchema } from '../records/consumed-record.ts'
import { jsonOf, textOf } from '../records/encode.ts'
import { type RegisteredSchema, RegistryClient } from './client.ts'

/** Decodes a payload without its schema id into JSON on one line. Throws for an invalid payload. */
export type Decode = (payload: Uint8Array) => string

/** The result of looking up a schema id: its decoder, or why there is none. */
export type SchemaLookup =
  | {
      readonly decode: Decode
      /** JSON of a {@link RecordSchema}, for a payload that can be decoded. */
      readonly schemaOf: (payload: Uint8Array) => string
    }
  | { readonly failure: string }

/** The decoder of a schema, and what the schema is called. */
export interface NamedDecoder {
  readonly decode: Decode
  /** The name of the type of a payload that can be decoded. Undefined: it is not named. */
  readonly nameOf: (payload: Uint8Array) => string | undefined
}

/** The most schema ids that are cached. Overflow policy: {@link LruMap}'s. */
const MAX_CACHED = 1_000
/** The time after which a failed lookup is tried again. */
const RETRY_MS = 10_000
/** The most characters of a schema's title that records have. */
const MAX_TITLE = 200
/** The most schemas that one schema may refer to, directly or indirectly. */
const MAX_REFERENCES = 200

interface Entry {
  readonly known: SchemaLookup
  readonly until: number
}

/** The decoders of a registry's schemas by schema id. */
export class Schemas {
  readonly #client: RegistryClient
  readonly #life: number
  readonly #entries = new LruMap<number, Entry>(MAX_CACHED)
  readonly #asking = new Map<number, Promise<SchemaLookup>>()

  constructor(options: RegistryOptions) {
    this.#client = new RegistryClient(options)
    // Without a `ttl` entries do not expire: a registry never changes the schema of an id.
    this.#life = options.ttl === undefined ? Infinity : options.ttl * 1_000
  }

  /**
   * The decoder of a schema id. A cached one is returned without a promise.
   *
   * @throws KafkaConsumeError when the registry does not answer and no decoder is cached.
   */
  get(id: number): SchemaLookup | Promise<SchemaLookup> {
    const entry = this.#entries.get(id)
    if (entry && performance.now() < entry.until) return entry.known
    const asking = this.#asking.get(id)
    if (asking) return asking
    const asked = this.#ask(id, entry).finally(() => this.#asking.delete(id))
    this.#asking.set(id, asked)
    return asked
  }

  async #ask(id: number, old: Entry | undefined): Promise<SchemaLookup> {
    let known: SchemaLookup
    let life = this.#life
    try {
      const schema = await this.#client.byId(id)
      known = schema
        ? await this.#parse(id, schema)
        : { failure: `the registry has no schema ${id}` }
      if ('failure' in known) life = RETRY_MS
    } catch (error) {
      if (!old || 'failure' in old.known) throw error
      // An expired decoder is still right: the schema of an id never changes.
      known = old.known
      life = RETRY_MS
    }
    this.#entries.set(id, { known, until: performance.now() + life })

    return known
  }

  async #parse(id: number, schema: RegisteredSchema): Promise<SchemaLookup> {
    const { type } = schema
    const referred = await referredBy(schema, this.#client)
    try {
      const { decode, nameOf } = await decoderOf(schema, referred)
      const texts = new Map<string | undefined, string>()
      const schemaOf = (payload: Uint8Array) => {
        const name = nameOf(payload)
        const known = texts.get(name)
        if (known !== undefined) return known
        const text = JSON.stringify({ id, type, name } satisfies Unnamed)
        texts.set(name, text)
        return text
      }
      return { decode, schemaOf }
    } catch (error) {
      return { failure: `its schema cannot be used: ${firstLine(error)}` }
    }
  }
}

/** A {@link RecordSchema} whose name may be undefined, which JSON leaves out. */
type Unnamed = Omit<RecordSchema, 'name'> & { readonly name: string | undefined }

async function decoderOf(
  { type, text }: RegisteredSchema,
  referred: ReadonlyMap<string, string>,
): Promise<NamedDecoder> {
  if (type === 'JSON') {
    const title = titleOf(text)
    return { decode: decodeJson, nameOf: () => title }
  }
  if (type === 'AVRO') {
    const { avroDecoder } = await import('./avro.ts')
    return avroDecoder(text, [...referred.values()])
  }
  const { protobufDecoder } = await import('./protobuf.ts')
  return protobufDecoder(text, referred)
}

/** The title of a JSON Schema, which is not parsed otherwise. */
function titleOf(text: string): string | undefined {
  try {
    const { title } = JSON.parse(text) as { title?: unknown }
    return typeof title === 'string' ? title.slice(0, MAX_TITLE) : undefined
  } catch {
    return undefined
  }
}

/**
 * The schemas that a schema refers to, by name. Each comes after the schemas that it refers to itself.
 *
 * @throws KafkaConsumeError when the registry does not answer.
 */
export async function referredBy(
  schema: RegisteredSchema,
  client: RegistryClient,
): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const seen = new Set<string>()
  const collect = async ({ references }: RegisteredSchema) => {
    for (const reference of references) {
      const { name } = reference
      if (seen.has(name) || seen.size >= MAX_REFERENCES) continue
      seen.add(name)
      const referred = await client.referred(reference)
      if (!referred) continue // The parser's error will name it.
      await collect(referred)
      found.set(name, referred.text)
    }
  }
  await collect(schema)
  return found
}

function decodeJson(payload: Uint8Array): string {
  const text = textOf(payload)
  const json = text === undefined ? undefined : jsonOf(text)
  if (json === undefined) throw new Error('it is not valid JSON')
  return json
}

/** The first 200 characters of an error's first line: parsers quote their input. */
export function firstLine(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  return line.slice(0, 200)
}
