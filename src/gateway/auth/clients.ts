/** The clients that may read, by a file (`--clients`) or by BEARER_KEYS. */
import { sha256 } from 'hono/utils/crypto'
import * as v from 'valibot'
import { KafkaConsumeError } from '../../core/errors.ts'
import { sha256Hex } from '../../core/hash.ts'
import type { KafkaClient } from '../../http/request/client.ts'
import { parseAtOnce } from '../../kong/model/parse-document.ts'
import { type Environment, isVaultReference, resolveVault } from '../../kong/model/references.ts'
import { list, record } from '../../options/fields.ts'
import type { RequestedFilters } from '../../records/filter.ts'
import { scopeSchema } from './scope.ts'

/** A client of the gateway's settings. */
export interface KnownClient {
  readonly name: string
  /** A bearer key, or `sha256:` and its hash in hexadecimal. */
  readonly key?: string | undefined
  /** The password of basic authentication with `name` as the user, or `sha256:` and its hash in hexadecimal. */
  readonly password?: string | undefined
  /** The scope: which records the client may see. Default: all. */
  readonly only?: Partial<RequestedFilters> | undefined
}

const HASH = /^sha256:([0-9a-f]{64})$/
const MAX_CLIENTS = 10_000

/** A text. YAML reads digits without quotes as a number, which would lose digits of a long key. */
function text(message: string) {
  return v.string(({ input }) =>
    typeof input === 'number' ? 'this is a number: a text is required, in quotes' : message,
  )
}

/** A key or password, in plain text or as a hash. The error message never repeats it. */
function secret(minLength: number) {
  const message = `at least ${minLength} characters are required, or sha256: and 64 hexadecimal digits`
  return v.pipe(
    text(message),
    v.check(
      (text) => (text.startsWith('sha256:') ? HASH.test(text) : text.length >= minLength),
      message,
    ),
  )
}

const name = v.pipe(
  text('text is required'),
  v.regex(/^[^:,=\p{Cc}]{1,255}$/u, '1 to 255 characters are required, none of : , ='),
)

const schema = record({
  clients: v.pipe(
    list(
      v.pipe(
        record({
          name,
          key: v.optional(secret(16)),
          password: v.optional(secret(8)),
          only: v.optional(scopeSchema),
        }),
        v.check(
          ({ key, password }) => key !== undefined || password !== undefined,
          'a key or a password is required',
        ),
      ),
    ),
    v.maxLength(MAX_CLIENTS, `at most ${MAX_CLIENTS} clients are allowed`),
    v.check(
      (clients) => new Set(clients.map((client) => client.name)).size === clients.length,
      'each name may stand only once',
    ),
    v.rawCheck(({ dataset, addIssue }) => {
      const message = dataset.typed ? sharedKeyIn(dataset.value) : undefined
      if (message !== undefined) addIssue({ message })
    }),
  ),
})

/**
 * Reads a file of clients: `clients: [{name, key, password, only}]`, in YAML or JSON.
 *
 * @param environment The variables that `{vault://env/NAME}` reads in place of a key or password.
 * @throws Error that names the field and never a secret.
 */
export function readClients(text: string, environment: Environment): readonly KnownClient[] {
  const parsed = parseAtOnce(text, 'yaml')
  const result = v.safeParse(schema, withSecrets(parsed, environment))
  if (result.success) return result.output.clients
  throw new Error(result.issues.map(describeIssue).join('; '))
}

/**
 * Reads `name=key,name=key`.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS
 */
export function parseKeys(text: string): readonly KnownClient[] {
  const clients = text.split(',').map((pair) => {
    const at = pair.indexOf('=')
    return { name: pair.slice(0, Math.max(0, at)).trim(), key: pair.slice(at + 1).trim() }
  })
  const result = v.safeParse(schema, { clients })
  if (result.success) return result.output.clients
  throw new KafkaConsumeError('INVALID_OPTIONS', result.issues.map(describeIssue).join('; '))
}

/**
 * Asserts that clients of several sources can be told apart, by their names and by their keys.
 *
 * @throws Error that names the clients.
 */
export function assertDistinct(clients: readonly KnownClient[]): void {
  const names = new Set<string>()
  for (const { name } of clients) {
    if (names.has(name)) throw new Error(`two clients have the name ${name}`)
    names.add(name)
  }
  const message = sharedKeyIn(clients)
  if (message !== undefined) throw new Error(`clients: ${message}`)
}

/**
 * Says which clients have the same key, in plain text or as its hash: a request with it would be that of
 * the last one, with its scope.
 *
 * @returns The first two; undefined where all keys differ.
 */
function sharedKeyIn(clients: readonly KnownClient[]): string | undefined {
  const places = new Map<string, string>()
  for (const [index, { name, key }] of clients.entries()) {
    if (key === undefined) continue
    const hash = HASH.exec(key)?.[1] ?? sha256Hex(key)
    const place = `${index + 1} (${name})`
    const other = places.get(hash)
    if (other !== undefined) return `${other} and ${place} have the same key: each needs its own`
    places.set(hash, place)
  }
  return undefined
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const unknown = issue.type === 'strict_object' && issue.expected === 'never'
  return `${v.getDotPath(issue) ?? 'the file'}: ${unknown ? 'unknown field' : issue.message}`
}

/** @throws Error that names all references that cannot be resolved. */
function withSecrets(parsed: unknown, environment: Environment): unknown {
  const errors = new Set<string>()
  const resolved: unknown = JSON.parse(
    JSON.stringify(parsed ?? null, (field, value) => {
      if (field !== 'key' && field !== 'password') return value
      if (typeof value !== 'string' || !isVaultReference(value)) return value
      const found = resolveVault(value, environment)
      if (found.error === undefined) return found.value
      errors.add(found.error)
      return value
    }),
  )
  if (errors.size > 0) throw new Error([...errors].join('; '))
  return resolved
}

/** Finds clients by their credentials. Secrets are held and compared as hashes. */
export class Clients {
  readonly #byKey = new Map<string, KafkaClient>()
  readonly #byName = new Map<string, { readonly client: KafkaClient; readonly hash: string }>()
  readonly #versions = new Map<string, { readonly client: KafkaClient; readonly version: string }>()

  private constructor() {}

  static async of(clients: readonly KnownClient[]): Promise<Clients> {
    const made = new Clients()
    for (const { name, key, password, only } of clients) {
      const client = { name, ...(only && { only }) }
      const hashes = {
        key: key === undefined ? undefined : await hashOf(key),
        password: password === undefined ? undefined : await hashOf(password),
      }
      if (hashes.key !== undefined) made.#byKey.set(hashes.key, client)
      if (hashes.password !== undefined) made.#byName.set(name, { client, hash: hashes.password })
      const version = (await sha256(JSON.stringify({ name, ...hashes, only }))) ?? ''
      made.#versions.set(name, { client, version })
    }
    return made
  }

  get haveKeys(): boolean {
    return this.#byKey.size > 0
  }

  get havePasswords(): boolean {
    return this.#byName.size > 0
  }

  /** Finds a client by its key. The key is looked up by its hash, so that the time reveals nothing of other keys. */
  byKey(hash: string): KafkaClient | undefined {
    return this.#byKey.get(hash)
  }

  byPassword(name: string, hash: string): KafkaClient | undefined {
    const held = this.#byName.get(name)
    return held && isSame(held.hash, hash) ? held.client : undefined
  }

  /** A text that changes with the client's key, password and scope; undefined for an unknown name. */
  versionOf(name: string): string | undefined {
    return this.#versions.get(name)?.version
  }

  /** Finds a client that is as it was at that version. */
  byVersion(name: string, version: string): KafkaClient | undefined {
    const held = this.#versions.get(name)
    return held?.version === version ? held.client : undefined
  }
}

async function hashOf(text: string): Promise<string> {
  return HASH.exec(text)?.[1] ?? (await secretHash(text))
}

/** The hash by which a client's key or password is found. */
export async function secretHash(text: string): Promise<string> {
  return (await sha256(text)) ?? ''
}

/** Compares in constant time for texts of one length. */
function isSame(one: string, other: string): boolean {
  let difference = one.length ^ other.length
  for (let at = 0; at < one.length; at++) difference |= one.charCodeAt(at) ^ other.charCodeAt(at)
  return difference === 0
}
