/**
 * The credentials of a snapshot, indexed by key, user name and issuer. Access plugins look them up
 * for each request.
 */
import { sha256 } from 'hono/utils/crypto'
import type {
  BasicauthCredential,
  JwtSecret,
  KeyauthCredential,
  KongConsumer,
  KongSnapshot,
} from '../model/entities.ts'
import { passwordHash } from '../model/password-hash.ts'
import { type Environment, isVaultReference, resolveVault } from '../model/references.ts'
import { SchemaViolation } from '../model/schema-violation.ts'
import type { CredentialReference } from './credential-session.ts'

/** A credential of a consumer, of whatever kind. */
export type AnyCredential = KeyauthCredential | BasicauthCredential | JwtSecret

/** The consumers of a snapshot and their credentials, with vault references resolved. */
export class Credentials {
  readonly #consumers: ReadonlyMap<string, KongConsumer>
  readonly #keys: ReadonlyMap<string, KeyauthCredential>
  readonly #basic: ReadonlyMap<string, BasicauthCredential>
  readonly #jwt: ReadonlyMap<string, JwtSecret>
  /** Made when a session is looked up first: most gateways have none. */
  #byId: ReadonlyMap<string, AnyCredential> | undefined

  /** @throws SchemaViolation for a vault reference that cannot be resolved. */
  constructor(snapshot: KongSnapshot, environment: Environment) {
    const { consumers, keyauth_credentials, basicauth_credentials, jwt_secrets } = snapshot
    this.#consumers = new Map(
      consumers.flatMap((consumer) =>
        [consumer.custom_id, consumer.username, consumer.id].flatMap((name) =>
          name === null ? [] : [[name, consumer] as const],
        ),
      ),
    )
    const by = <T extends object>(list: readonly T[], field: keyof T & string, secret: keyof T) =>
      new Map(
        list.map((each) => {
          const whole = resolved(each, secret as string, environment)
          return [String(whole[field]), whole] as const
        }),
      )
    this.#keys = by(keyauth_credentials, 'key', 'key')
    this.#basic = new Map(
      basicauth_credentials.map((each) => [each.username, withHash(each, environment)] as const),
    )
    this.#jwt = by(jwt_secrets, 'key', 'secret')
  }

  /** @param name An id, a username or a custom id, in this order. */
  consumer(name: string): KongConsumer | undefined {
    return this.#consumers.get(name)
  }

  /** The credential of a key that has not expired. */
  byKey(key: string): KeyauthCredential | undefined {
    const found = this.#keys.get(key)
    return found && Date.now() < (expiryOf(found) ?? Infinity) ? found : undefined
  }

  byUsername(username: string): BasicauthCredential | undefined {
    return this.#basic.get(username)
  }

  /** @param key The issuer as a token names it. */
  byIssuer(key: string): JwtSecret | undefined {
    return this.#jwt.get(key)
  }

  /** A credential that has not expired. */
  byId(id: string): AnyCredential | undefined {
    this.#byId ??= new Map(
      [this.#keys, this.#basic, this.#jwt].flatMap((held: ReadonlyMap<string, AnyCredential>) =>
        [...held.values()].map((each) => [each.id, each] as const),
      ),
    )
    const found = this.#byId.get(id)
    return found && Date.now() < (endOf(found) ?? Infinity) ? found : undefined
  }

  /** The credential that a session names, where it is as it was at the login. */
  async byReference({ id, version }: CredentialReference): Promise<AnyCredential | undefined> {
    const found = this.byId(id)
    return found && (await versionOf(found)) === version ? found : undefined
  }
}

const versions = new WeakMap<AnyCredential, Promise<string>>()

/** A text that changes with a credential's secret and its consumer, and reveals neither. */
export function versionOf(credential: AnyCredential): Promise<string> {
  const held = versions.get(credential) ?? hashOf(credential)
  versions.set(credential, held)
  return held
}

async function hashOf(credential: AnyCredential): Promise<string> {
  return (await sha256(substanceOf(credential))) ?? ''
}

/** Whether two versions of a credential have one secret and one consumer. */
export function isUnchanged(one: AnyCredential | undefined, other: AnyCredential): boolean {
  return one !== undefined && substanceOf(one) === substanceOf(other)
}

/** All of a credential but what says when and how it was written. */
function substanceOf(credential: AnyCredential): string {
  const { id: _id, tags: _tags, created_at: _created, updated_at: _updated, ...rest } = credential
  return JSON.stringify(rest)
}

/** When a credential ends, in milliseconds since 1970; undefined where it does not. */
export function endOf(credential: AnyCredential): number | undefined {
  return 'ttl' in credential ? expiryOf(credential) : undefined
}

/** When a key expires, in milliseconds since 1970; undefined where it does not. */
export function expiryOf({ ttl, updated_at }: KeyauthCredential): number | undefined {
  return ttl ? (updated_at + ttl) * 1_000 : undefined
}

/** A credential whose password is a hash, also where a vault has the password itself. */
function withHash(credential: BasicauthCredential, environment: Environment): BasicauthCredential {
  const { password, consumer } = credential
  if (!isVaultReference(password)) return credential
  const plain = resolved(credential, 'password', environment).password
  return { ...credential, password: passwordHash(plain, consumer.id) }
}

function resolved<T extends object>(credential: T, field: string, environment: Environment): T {
  const text = (credential as Readonly<Record<string, unknown>>)[field]
  if (typeof text !== 'string' || !isVaultReference(text)) return credential
  const found = resolveVault(text, environment)
  if (found.error !== undefined) throw new SchemaViolation({ [field]: found.error })
  return { ...credential, [field]: found.value }
}
