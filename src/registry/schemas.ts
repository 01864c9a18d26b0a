import type { RegistryOptions } from '../options/registry-options.ts'
import { jsonOf, textOf } from '../records/encode.ts'
import { type RegisteredSchema, RegistryClient } from './client.ts'

/** A payload without its schema id, as JSON on one line. Throws where it is not what it should be. */
export type Decode = (payload: Uint8Array) => string

/** What is known of an id: how to decode what was written with it, or why that is not possible. */
export type Known = { readonly decode: Decode } | { readonly failure: string }

/**
 * Ids that are remembered. Overflow policy: the one that was not used for the longest time goes, and
 * is asked for again.
 */
const CAPACITY = 1_000
/** When an id is asked for again that the registry does not have yet, or could not tell just now. */
const AGAIN_MS = 10_000
/** Schemas that one may be made of. */
const MAX_REFERENCES = 200

interface Entry {
  readonly known: Known
  readonly until: number
}

/** The schemas of a registry, parsed, by their ids. */
export class Schemas {
  readonly #client: RegistryClient
  readonly #life: number
  /** In the order of their last use. */
  readonly #entries = new Map<number, Entry>()
  readonly #asking = new Map<number, Promise<Known>>()

  constructor(options: RegistryOptions) {
    this.#client = new RegistryClient(options)
    // Without a `ttl` they do not age: a registry never changes what an id stands for.
    this.#life = options.ttl === undefined ? Infinity : options.ttl * 1_000
  }

  /**
   * What an id stands for; at once where it is known.
   *
   * @throws KafkaConsumeError when the registry cannot be asked and nothing was known before.
   */
  get(id: number): Known | Promise<Known> {
    const entry = this.#entries.get(id)
    if (entry) {
      this.#entries.delete(id)
      this.#entries.set(id, entry)
      if (performance.now() < entry.until) return entry.known
    }
    const asking = this.#asking.get(id)
    if (asking) return asking
    const asked = this.#ask(id, entry).finally(() => this.#asking.delete(id))
    this.#asking.set(id, asked)
    return asked
  }

  async #ask(id: number, old: Entry | undefined): Promise<Known> {
    let known: Known
    let life = this.#life
    try {
      const schema = await this.#client.byId(id)
      known = schema ? await this.#parse(schema) : { failure: `the registry has no schema ${id}` }
      if ('failure' in known) life = AGAIN_MS
    } catch (error) {
      if (!old || 'failure' in old.known) throw error
      // What it stood for it still stands for.
      known = old.known
      life = AGAIN_MS
    }
    this.#entries.set(id, { known, until: performance.now() + life })
    if (this.#entries.size > CAPACITY) {
      const [oldest] = this.#entries.keys()
      this.#entries.delete(oldest as number)
    }
    return known
  }

  async #parse(schema: RegisteredSchema): Promise<Known> {
    const { type, text } = schema
    if (type === 'JSON') return { decode: decodeJson }
    const referred = new Map<string, string>()
    await this.#collect(schema, referred, new Set())
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

  /** What a schema refers to, by name; each after what it refers to itself. */
  async #collect(
    { references }: RegisteredSchema,
    found: Map<string, string>,
    seen: Set<string>,
  ): Promise<void> {
    for (const reference of references) {
      const { name } = reference
      if (seen.has(name) || seen.size >= MAX_REFERENCES) continue
      seen.add(name)
      const schema = await this.#client.referred(reference)
      if (!schema) continue // Parsing will name it.
      await this.#collect(schema, found, seen)
      found.set(name, schema.text)
    }
  }
}

function decodeJson(payload: Uint8Array): string {
  const text = textOf(payload)
  const json = text === undefined ? undefined : jsonOf(text)
  if (json === undefined) throw new Error('it is no JSON')
  return json
}

/** The first line of what an error says, cut: parsers quote what they read. */
export function firstLine(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  return line.slice(0, 200)
}
