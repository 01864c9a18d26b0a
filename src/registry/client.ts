import { KafkaConsumeError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { RegistryOptions } from '../options/registry-options.ts'
import { accessOf, type RegistryAccess } from './access.ts'
import { ask } from './http.ts'

/** The schema formats of Confluent's API. */
type SchemaType = 'AVRO' | 'PROTOBUF' | 'JSON'

/** A schema that another schema refers to. */
export interface SchemaReference {
  /** The name in the referring schema: a type's full name in Avro, a path in Protobuf. */
  readonly name: string
  readonly subject: string
  readonly version: number
}

/** A schema of a registry. */
export interface RegisteredSchema {
  /** The id by which encoded records name it; undefined where the registry was asked by id. */
  readonly id: number | undefined
  readonly type: SchemaType
  readonly text: string
  readonly references: readonly SchemaReference[]
}

/**
 * Reads schemas by the API of Confluent's Schema Registry, which Karapace, Apicurio and Redpanda
 * offer, too (https://docs.confluent.io/platform/current/schema-registry/develop/api.html).
 */
export class RegistryClient {
  readonly #options: RegistryOptions
  readonly #access: RegistryAccess

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#access = accessOf(options.authentication)
  }

  /**
   * @returns undefined when the registry does not have the schema.
   * @throws KafkaConsumeError SCHEMA_REGISTRY_UNAVAILABLE or SCHEMA_REGISTRY_REFUSED, both retryable.
   */
  byId(id: number): Promise<RegisteredSchema | undefined> {
    return this.#read(`schemas/ids/${id}`)
  }

  /**
   * The schema of a subject's version, which may be `latest`, with its id.
   *
   * @returns undefined when the registry has no such subject or version.
   * @throws KafkaConsumeError as {@link byId} does.
   */
  bySubject(subject: string, version: string): Promise<RegisteredSchema | undefined> {
    return this.#read(`subjects/${encodeURIComponent(subject)}/versions/${version}`)
  }

  /** A schema that another schema refers to, even when it was deleted since; otherwise as {@link byId}. */
  referred({ subject, version }: SchemaReference): Promise<RegisteredSchema | undefined> {
    return this.#read(`subjects/${encodeURIComponent(subject)}/versions/${version}?deleted=true`)
  }

  async #read(path: string): Promise<RegisteredSchema | undefined> {
    const base = this.#options.url as string
    const url = new URL(path, base.endsWith('/') ? base : `${base}/`)
    let answer = await this.#ask(url)
    // A token may be revoked before it expires.
    if (answer.status === 401 && this.#access.renew()) answer = await this.#ask(url)
    const { status, body } = answer
    if (status === 200) return schemaOf(body) ?? fail(`it answered ${path} with no schema`)
    if (status === 404 && isUnknown(body)) return undefined
    if (status === 401 || status === 403) {
      throw new KafkaConsumeError(
        'SCHEMA_REGISTRY_REFUSED',
        'Cannot read schemas: the schema registry refused the credentials',
        { detail: `${path} was answered with status ${status}`, retryable: true },
      )
    }
    return fail(`it answered ${path} with status ${status}`)
  }

  async #ask(url: URL) {
    const headers = await this.#access.headers()
    return ask(url, {
      headers: { accept: 'application/vnd.schemaregistry.v1+json, application/json', ...headers },
      sslVerify: this.#options.sslVerify,
      server: 'the schema registry',
    })
  }
}

function fail(detail: string): never {
  throw new KafkaConsumeError(
    'SCHEMA_REGISTRY_UNAVAILABLE',
    'Cannot read schemas: the schema registry is out of order',
    { detail },
  )
}

/** Whether the code is that of an unknown subject, version or schema. Other 404s are a wrong URL. */
function isUnknown(body: unknown): boolean {
  return isJsonObject(body) && [40401, 40402, 40403].includes(body['error_code'] as number)
}

function schemaOf(body: unknown): RegisteredSchema | undefined {
  if (!isJsonObject(body) || typeof body['schema'] !== 'string') return undefined
  const { id, schema: text, schemaType: type = 'AVRO', references } = body
  if (type !== 'AVRO' && type !== 'PROTOBUF' && type !== 'JSON') return undefined
  return {
    id: typeof id === 'number' ? id : undefined,
    type,
    text,
    references: Array.isArray(references) ? (references as SchemaReference[]) : [],
  }
}
