import { LruMap } from '../core/lru-map.ts'
import type { RegistryOptions } from '../options/registry-options.ts'
import { jsonOf, textOf } from '../records/encode.ts'
import { type RegisteredSchema, RegistryClient } from './client.ts'

/** Decodes a payload without its schema id into JSON on one line. Throws for an invalid payload. */
export type Decode = (payload: Uint8Array) => string

/** The result of looking up a schema id: its decoder, or why there is none. */
export type SchemaLookup = { readonly decode: Decode } | { readonly failure: string }

/** The most schema ids that are cached. Overflow policy: {@link LruMap}'s. */
const MAX_CACHED = 1_000
/** The time after which a failed lookup is tried again. */
const RETRY_MS = 10_000
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
      known = schema ? await this.#parse(schema) : { failure: `the registry has no schema ${id}` }
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

  async #parse(schema: RegisteredSchema): Promise<SchemaLookup> {
    const { type, text } = schema
    if (type === 'JSON') return { decode: decodeJson }
    const referred = await referredBy(schema, this.#client)
    try {
      if (type === 'AVRO') {
        const { avroDecoder } = await import('./avro.ts')
        return { decode: avroDecoder(text, [...referred.values()]) }
      }
      const { protobufDecoder } = await import('./protobuf.ts')
      return { decode: protobufDecoder(text, referred) }
    } catch (error) {
      return { failure: `its schema cannot be used: ${firstLine(error)}` }
    }
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
