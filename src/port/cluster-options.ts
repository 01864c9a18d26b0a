/** The options of a connection to a cluster. */

/** How to reach a cluster. */
export interface ClusterOptions {
  /** `host:port` pairs. */
  readonly bootstrapServers: readonly string[]
  /** The cluster's name in logs. Default: the bootstrap servers. */
  readonly name?: string | undefined
  /** Default: no TLS. */
  readonly tls?: TlsOptions | undefined
  /** Default: no authentication. */
  readonly sasl?: SaslOptions | undefined
  /** Further settings by librdkafka's names, without those that this package sets. */
  readonly librdkafka?: Readonly<Record<string, string | number | boolean>> | undefined
}

/** Text, or a file that holds the text and is read again for each connection. */
export type TextOrFile = string | { readonly file: string }

/** How connections are encrypted. All certificates and keys are PEM. */
export interface TlsOptions {
  /** Whether the broker's certificate and its host name are verified. */
  readonly verify: boolean
  /** The certificate authorities that verify brokers' certificates. Default: the system's. */
  readonly ca?: TextOrFile | undefined
  /** The client certificate, for brokers that ask for one. */
  readonly certificate?: TextOrFile | undefined
  /** The private key of `certificate`. */
  readonly key?: TextOrFile | undefined
}

/** The SASL authentication with Kafka. */
export type SaslOptions = PasswordSasl | TokenSasl

export interface PasswordSasl {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  readonly user: string
  readonly password: TextOrFile
  /** Whether `user` and `password` are the id and the HMAC of a delegation token (KIP-48). SCRAM only. */
  readonly isDelegationToken?: boolean | undefined
}

/** Authentication by a token of an OAuth 2 endpoint, got with client credentials (RFC 6749, 4.4). */
export interface TokenSasl {
  readonly mechanism: 'OAUTHBEARER'
  /** An http or https URL. */
  readonly tokenEndpoint: string
  readonly clientId: string
  readonly clientSecret: TextOrFile
  readonly scopes: readonly string[]
  /** Sent to the broker along with the token (RFC 7628, 3.1). */
  readonly extensions: Readonly<Record<string, string>>
  /** Whether the endpoint's certificate is verified. */
  readonly verify: boolean
  /** Certificate authorities that verify it, besides the runtime's. Default: none. */
  readonly ca?: TextOrFile | undefined
}
