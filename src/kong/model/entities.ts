/**
 * Kong's entities, as far as a gateway for Kafka needs them: their shape in documents and in the
 * Admin API's answers (snake_case, Kong's own names).
 */

/** The fields of every entity. */
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

/** A route: the criteria by which requests match. */
export interface KongRoute extends Entity {
  readonly name: string | null
  readonly protocols: readonly string[]
  readonly methods: readonly string[] | null
  readonly hosts: readonly string[] | null
  /** Prefixes, or regular expressions that begin with `~`. */
  readonly paths: readonly string[] | null
  readonly headers: Readonly<Record<string, readonly string[]>> | null
  /** Host names of TLS; plain HTTP matches whatever they are. */
  readonly snis: readonly string[] | null
  readonly regex_priority: number
  readonly strip_path: boolean
  readonly preserve_host: boolean
  /** The status with which plain HTTP is answered by a route for HTTPS alone. */
  readonly https_redirect_status_code: 426 | 301 | 302 | 307 | 308
  readonly service: EntityReference | null
}

/** `kafka-consume` or an access plugin: on a route, a service or a consumer, or global. */
export interface KongPlugin extends Entity {
  readonly name: string
  readonly instance_name: string | null
  readonly enabled: boolean
  readonly protocols: readonly string[]
  /** The configuration with every field, in Kong's names, defaults included. */
  readonly config: Readonly<Record<string, unknown>>
  readonly route: EntityReference | null
  readonly service: EntityReference | null
  readonly consumer: EntityReference | null
}

export interface KongConsumer extends Entity {
  readonly username: string | null
  readonly custom_id: string | null
}

/** A key by which `key-auth` identifies a consumer. */
export interface KeyauthCredential extends Entity {
  readonly consumer: EntityReference
  readonly key: string
  /** Seconds from `updated_at` for which the key is valid; null or 0: until it is removed. */
  readonly ttl: number | null
}

/** A user name and a password by which `basic-auth` identifies a consumer. */
export interface BasicauthCredential extends Entity {
  readonly consumer: EntityReference
  readonly username: string
  /** A hash in Kong\'s form, or a vault reference to the password itself. */
  readonly password: string
}

/** An issuer of tokens by which `jwt` identifies a consumer. */
export interface JwtSecret extends Entity {
  readonly consumer: EntityReference
  /** The issuer as tokens name it, in the claim `iss` by default. */
  readonly key: string
  readonly secret: string
  /** A public key in PEM for asymmetric algorithms, of any kind in spite of Kong's name. */
  readonly rsa_public_key: string | null
  readonly algorithm: string
}

/** A certificate for connections to Kafka, or by its {@link KongSni}s for clients of HTTPS. */
export interface Certificate extends Entity {
  readonly cert: string
  readonly key: string
}

/** A server name (TLS's SNI) for which HTTPS clients are shown a certificate. */
export interface KongSni extends Entity {
  /** May begin or end with the label `*`; `*` alone is any name. */
  readonly name: string
  readonly certificate: EntityReference
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
  snis: KongSni
}

export type EntityKind = keyof EntityKinds

/** All entities of a gateway at one time. A change makes another snapshot. */
export type KongSnapshot = { readonly [K in EntityKind]: ReadonlyArray<EntityKinds[K]> }
