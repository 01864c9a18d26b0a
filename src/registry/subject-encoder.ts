import { KafkaConsumeError } from '../core/errors.ts'
import type { RegistryOptions } from '../options/registry-options.ts'
import { textOf } from '../records/encode.ts'
import type { Encode } from './avro-encoder.ts'
import { type RegisteredSchema, RegistryClient } from './client.ts'
import { firstLine, referredBy } from './schemas.ts'

/** Milliseconds after which the latest version of a subject is looked up again, without a `ttl`. */
const LATEST_LIFE_MS = 300_000
/** The time after which a failed lookup is tried again. */
const RETRY_MS = 10_000

/** Which schema encodes a part of records. */
export interface SchemaSubject {
  readonly subjectName?: string | undefined
  /** A number, or `latest`. Default: `latest`. */
  readonly schemaVersion?: string | undefined
}

interface KnownSchema {
  readonly id: number
  readonly encode: Encode
}

/** Encodes keys or values by the schema of a subject: a magic byte, the schema's id, and the payload. */
export class SubjectEncoder {
  readonly #client: RegistryClient
  readonly #what: 'key' | 'value'
  readonly #subject: string
  readonly #version: string
  readonly #life: number
  #known: { readonly schema: KnownSchema | KafkaConsumeError; readonly until: number } | undefined
  #asking: Promise<KnownSchema> | undefined

  constructor(
    options: RegistryOptions,
    what: 'key' | 'value',
    { subjectName = '', schemaVersion = 'latest' }: SchemaSubject,
  ) {
    this.#client = new RegistryClient(options)
    this.#what = what
    this.#subject = subjectName
    this.#version = schemaVersion
    // Without a `ttl` a numbered version does not expire: a registry never changes it.
    const life = schemaVersion === 'latest' ? LATEST_LIFE_MS : Infinity
    this.#life = options.ttl === undefined ? life : options.ttl * 1_000
  }

  /**
   * Encodes bytes that hold JSON, or the JSON of a text.
   *
   * @param alternatives The forms of the value, of which the first that fits is encoded.
   * @throws KafkaConsumeError INVALID_RECORD for a value that does not fit; otherwise why there is no
   *   schema.
   */
  async encode(
    ...alternatives: readonly (string | Uint8Array)[]
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { id, encode } = await this.#schema()
    let first: unknown
    for (const value of alternatives) {
      try {
        const json = typeof value === 'string' ? value : textOf(value)
        if (json === undefined) throw new Error('it is not UTF-8')
        return framed(id, encode(json))
      } catch (error) {
        first ??= error
      }
    }
    const state = first instanceof SyntaxError ? 'it is not valid JSON' : firstLine(first)
    throw new KafkaConsumeError('INVALID_RECORD', `Cannot encode the ${this.#what}: ${state}`)
  }

  async #schema(): Promise<KnownSchema> {
    const { schema, until = 0 } = this.#known ?? {}
    if (schema && performance.now() < until) {
      if (schema instanceof KafkaConsumeError) throw schema
      return schema
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #ask(): Promise<KnownSchema> {
    const old = this.#known?.schema
    try {
      const schema = await this.#parse()
      this.#known = { schema, until: performance.now() + this.#life }
      return schema
    } catch (thrown) {
      const error = thrown as KafkaConsumeError
      // A schema that was known is still right, as long as the registry does not say otherwise.
      const kept = old && !(old instanceof KafkaConsumeError) && error.retryable ? old : error
      this.#known = { schema: kept, until: performance.now() + (kept === old ? RETRY_MS : 1_000) }
      if (kept === error) throw error
      return kept as KnownSchema
    }
  }

  async #parse(): Promise<KnownSchema> {
    const schema = await this.#client.bySubject(this.#subject, this.#version)
    if (!schema) throw this.#unusable('the registry does not have it')
    if (schema.id === undefined) throw this.#unusable('the registry names no id for it')
    const referred = await referredBy(schema, this.#client)
    try {
      return { id: schema.id, encode: await encoderOf(schema, referred) }
    } catch (error) {
      throw this.#unusable(firstLine(error))
    }
  }

  #unusable(state: string): KafkaConsumeError {
    const schema = `version ${this.#version} of subject ${this.#subject}`
    return new KafkaConsumeError(
      'SCHEMA_REGISTRY_REFUSED',
      `Cannot encode the ${this.#what}: its schema cannot be used`,
      { detail: `${schema}: ${state}`, retryable: false },
    )
  }
}

/** Modules of formats are loaded when they are needed first. */
async function encoderOf(
  { type, text }: RegisteredSchema,
  referred: ReadonlyMap<string, string>,
): Promise<Encode> {
  if (type === 'AVRO') {
    const { avroEncoder } = await import('./avro-encoder.ts')
    return avroEncoder(text, [...referred.values()])
  }
  if (type === 'JSON') {
    const { jsonSchemaEncoder } = await import('./json-schema.ts')
    return jsonSchemaEncoder(text, referred)
  }
  throw new Error('Avro and JSON Schema are supported, Protobuf is not')
}

function framed(id: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(5 + payload.length)
  new DataView(bytes.buffer).setUint32(1, id)
  bytes.set(payload, 5)
  return bytes
}
