/** Converts options to the settings by which the Kafka side connects. */
import type { ClusterOptions, SaslOptions, TlsOptions } from '../port/cluster-options.ts'
import type { ResolvedOptions } from './consume-options.ts'

/** The options that say how to reach Kafka. */
type ConnectionOptions = Pick<
  ResolvedOptions,
  'bootstrapServers' | 'clusterName' | 'authentication' | 'security' | 'librdkafka'
>

/** The options on which a route's connections depend: routes with equal ones share connections. */
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

/** The rules between fields guarantee the fields that a mechanism requires. */
function saslOptions({ authentication, security }: ConnectionOptions): SaslOptions | undefined {
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
    ca: security.ca,
  }
}
