/** Listeners that authenticate clients, and an authorizer that applies ACLs. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { admin, reader } from './credentials.ts'
import { listeners, type SecureListener, secureListeners } from './secure-listeners.ts'
import { type Cluster, stateFolder } from './state.ts'

/** The folder of the certificates and of the key that signs tokens. */
export function credentialsFolder({ name }: Pick<Cluster, 'name'>): string {
  return join(stateFolder(name), 'credentials')
}

/** The listeners, users and certificates, for the terminal. */
export function describeSecure(cluster: Cluster): string {
  const users = [admin, reader].map(({ name, password }) => `${name} (password ${password})`)
  const listed = Object.entries(cluster.secure ?? {}).map(
    ([name, port]) => `  ${name.padEnd(16)}localhost:${port}`,
  )
  return `${listed.join('\n')}
Users: ${users.join(', ')}; ACLs define what ${reader.name} may do
Certificates: ${credentialsFolder(cluster)}`
}

/** The settings that a secured broker has besides those of an open one. */
export function secureProperties(cluster: Cluster): Record<string, string | number | boolean> {
  const { secure } = cluster
  if (!secure) return {}
  const folder = credentialsFolder(cluster)
  return {
    // Clients of the open listener have no name: tools, and the tests' own set-up.
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': `User:ANONYMOUS;User:${admin.name}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+).*$/$1/,DEFAULT',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    // Brokers issue delegation tokens only with a secret key.
    'delegation.token.secret.key': 'of-no-use-elsewhere',
    ...Object.assign(
      {},
      ...secureListeners.map((name) => {
        const { protocol, certificate } = listeners[name]
        const prefix = `listener.name.${name.toLowerCase()}`
        return {
          ...(certificate && tls(prefix, folder, certificate)),
          ...(protocol.startsWith('SASL') && sasl(prefix, folder)),
        }
      }),
    ),
    'listener.name.ssl.ssl.client.auth': 'required',
  }
}

/** The parts of Kafka's `listeners`, `advertised.listeners` and `listener.security.protocol.map`. */
export function listenerLists({ secure }: Cluster) {
  const open = secureListeners.map((name) => ({ name, port: secure?.[name] }))
  const of = (write: (name: SecureListener, port: number) => string) =>
    open.flatMap(({ name, port }) => (port === undefined ? [] : [write(name, port)]))
  return {
    listeners: of((name, port) => `${name}://127.0.0.1:${port}`),
    advertised: of((name, port) => `${name}://localhost:${port}`),
    protocols: of((name) => `${name}:${listeners[name].protocol}`),
  }
}

/** Arguments of Kafka's storage tool that create the users of SCRAM, which are part of the metadata. */
export function formatArguments({ secure }: Cluster): string[] {
  if (!secure) return []
  return ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) =>
    [admin, reader].flatMap(({ name, password }) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  )
}

/** JVM options that allow Kafka to read the keys of tokens from their URL. */
export function jvmOptions(cluster: Cluster): string[] {
  if (!cluster.secure) return []
  const property = 'org.apache.kafka.sasl.oauthbearer.allowed.urls'
  return [`-D${property}=${jwksUrl(credentialsFolder(cluster))}`]
}

function jwksUrl(folder: string): string {
  return pathToFileURL(join(folder, 'jwks.json')).href
}

function tls(prefix: string, folder: string, certificate: string) {
  return {
    [`${prefix}.ssl.keystore.type`]: 'PEM',
    [`${prefix}.ssl.keystore.location`]: join(folder, `${certificate}.both`),
    [`${prefix}.ssl.truststore.type`]: 'PEM',
    [`${prefix}.ssl.truststore.location`]: join(folder, 'ca.pem'),
  }
}

const MODULES = 'org.apache.kafka.common.security'

function sasl(prefix: string, folder: string) {
  const users = [admin, reader].map(({ name, password }) => `user_${name}="${password}"`)
  const scram = `${MODULES}.scram.ScramLoginModule required;`
  const oauth = `${prefix}.oauthbearer`
  return {
    [`${prefix}.plain.sasl.jaas.config`]: `${MODULES}.plain.PlainLoginModule required ${users.join(' ')};`,
    [`${prefix}.scram-sha-256.sasl.jaas.config`]: scram,
    [`${prefix}.scram-sha-512.sasl.jaas.config`]: scram,
    [`${oauth}.sasl.jaas.config`]: `${MODULES}.oauthbearer.OAuthBearerLoginModule required;`,
    [`${oauth}.sasl.server.callback.handler.class`]: `${MODULES}.oauthbearer.OAuthBearerValidatorCallbackHandler`,
    [`${oauth}.sasl.oauthbearer.jwks.endpoint.url`]: jwksUrl(folder),
    [`${oauth}.sasl.oauthbearer.expected.audience`]: 'kafka',
    // A client that stays connected beyond the expiry of its token must send a new one (KIP-368).
    [`${oauth}.connections.max.reauth.ms`]: 3_600_000,
  }
}
