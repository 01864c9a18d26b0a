/** From options to what the Kafka side connects by. */
import type { ClusterOptions, SaslOptions, TlsOptions } from '../port/kafka.ts'
import type { ResolvedOptions } from './consume-options.ts'

/** The options that say how to reach Kafka. */
type ConnectionOptions = Pick<
  ResolvedOptions,
  'bootstrapServers' | 'clusterName' | 'authentication' | 'security' | 'librdkafka'
>

/** All of a route's options that its connections depend on: where they are equal, routes share them. */
export function clusterOptions(options: ConnectionOptions): ClusterOptions {
  const { bootstrapServers, clusterName, librdkafka } = options
  return {
    bootstrapServers,
    name: clusterName,
    tls: tlsOptions(options),
    sasl: saslOptions(options),
    librdkafka,
  }
}

function tlsOptions({ security }: ConnectionOptions): TlsOptions | undefined {
  if (!security.ssl) return undefined
  const { sslVerify, ca, certificate, key } = security
  return { verify: sslVerify, ca, certificate, key }
}

/** The rules between fields hold that what a mechanism needs is there. */
function saslOptions({ authentication }: ConnectionOptions): SaslOptions | undefined {
  const { strategy, mechanism, user = '', password = '', tokenauth, oauthbearer } = authentication
  if (strategy === undefined || mechanism === undefined) return undefined
  if (mechanism !== 'OAUTHBEARER') {
    return { mechanism, user, password, isDelegationToken: tokenauth }
  }
  return {
    mechanism,
    tokenEndpoint: oauthbearer?.tokenEndpointUrl ?? '',
    clientId: oauthbearer?.clientId ?? '',
    clientSecret: oauthbearer?.clientSecret ?? '',
    scopes: oauthbearer?.scopes ?? [],
    extensions: oauthbearer?.extensions ?? {},
    verify: oauthbearer?.tokenEndpointTlsVerify ?? true,
  }
}
