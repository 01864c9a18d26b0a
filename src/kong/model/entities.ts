/**
 * Kong's entities, as far as a gateway for Kafka needs them: their shape in documents and in the
 * Admin API's answers (snake_case, Kong's own names).
 */

/** What every entity has. */
export interface Entity {
  /** A UUID. */
  readonly id: string
  /** Seconds since 1970. */
  readonly created_at: number
  /** Seconds since 1970. */
  readonly updated_at: number
  readonly tags: readonly string[] | null
}

/** A reference to another entity. */
export interface EntityReference {
  readonly id: string
}

/** An upstream in Kong; here a name that groups routes, since Kafka is the upstream. */
export interface KongService extends Entity {
  readonly name: string | null
  readonly host: string
  readonly port: number
  readonly protocol: string
  readonly path: string | null
  readonly enabled: boolean
}

/** Which requests are meant. */
export interface KongRoute extends Entity {
  readonly name: string | null
  readonly protocols: readonly string[]
  readonly methods: readonly string[] | null
  readonly hosts: readonly string[] | null
  /** Prefixes, or regular expressions that begin with `~`. */
  readonly paths: readonly string[] | null
  readonly headers: Readonly<Record<string, readonly string[]>> | null
  readonly regex_priority: number
  readonly strip_path: boolean
  readonly preserve_host: boolean
  readonly service: EntityReference | null
}

/** `kafka-consume`, or what stands in front of it: on a route, a service, a consumer, or everywhere. */
export interface KongPlugin extends Entity {
  readonly name: string
  readonly instance_name: string | null
  readonly enabled: boolean
  readonly protocols: readonly string[]
  /** Complete: every field, defaults filled in, in Kong's names. */
  readonly config: Readonly<Record<string, unknown>>
  readonly route: EntityReference | null
  readonly service: EntityReference | null
  readonly consumer: EntityReference | null
}

export interface KongConsumer extends Entity {
  readonly username: string | null
  readonly custom_id: string | null
}

/** What `key-auth` knows a consumer by. */
export interface KeyauthCredential extends Entity {
  readonly consumer: EntityReference
  readonly key: string
}

/** What `basic-auth` knows a consumer by. */
export interface BasicauthCredential extends Entity {
  readonly consumer: EntityReference
  readonly username: string
  readonly password: string
}

/** What `jwt` knows a consumer by. */
export interface JwtSecret extends Entity {
  readonly consumer: EntityReference
  /** What tokens name it by, in the claim `iss` by default. */
  readonly key: string
  readonly secret: string
  /** PEM, for algorithms that have one; of any kind, whatever its name. */
  readonly rsa_public_key: string | null
  readonly algorithm: string
}

export interface Certificate extends Entity {
  readonly cert: string
  readonly key: string
}

/** All entities by kind. */
export interface EntityKinds {
  services: KongService
  routes: KongRoute
  plugins: KongPlugin
  consumers: KongConsumer
  keyauth_credentials: KeyauthCredential
  basicauth_credentials: BasicauthCredential
  jwt_secrets: JwtSecret
  certificates: Certificate
}

export type EntityKind = keyof EntityKinds

/** Everything that a gateway serves, at one moment. */
export type KongSnapshot = { readonly [K in EntityKind]: ReadonlyArray<EntityKinds[K]> }
