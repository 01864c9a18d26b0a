/** Translates the connection options of a cluster into librdkafka's settings. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type {
  ClusterOptions,
  PasswordSasl,
  TextOrFile,
  TlsOptions,
} from '../../src/port/cluster-options.ts'
import type { Settings } from './client.ts'
import type { OAuthTokens } from './oauth-tokens.ts'
import { cannotUse, readText } from './text-or-file.ts'

/**
 * The settings that every client connects with: brokers, TLS and SASL. Files are read each time, so
 * that a later connection uses a renewed certificate or password.
 *
 * @param tokens The source of tokens for OAUTHBEARER.
 * @throws KafkaConsumeError INVALID_OPTIONS for a file that cannot be read or that is not valid PEM.
 */
export function connectionSettings(
  { bootstrapServers, tls, sasl, librdkafka = {} }: ClusterOptions,
  tokens: OAuthTokens | undefined,
): Settings {
  const base = sasl ? 'sasl_' : ''
  return {
    'bootstrap.servers': bootstrapServers.join(','),
    'security.protocol': tls ? `${base}ssl` : `${base}plaintext`,
    ...(tls && tlsSettings(tls, librdkafka['ssl.key.password'])),
    ...(sasl && sasl.mechanism !== 'OAUTHBEARER' && passwordSettings(sasl)),
    ...(tokens && {
      'sasl.mechanisms': 'OAUTHBEARER',
      oauthbearer_token_refresh_cb: tokens.refresh,
    }),
  }
}

function passwordSettings(sasl: PasswordSasl): Settings {
  const { mechanism, user, password, isDelegationToken } = sasl
  return {
    'sasl.mechanisms': mechanism,
    'sasl.username': user,
    'sasl.password': readText(password, 'authentication.password'),
    // This property is ours: `native/delegation-tokens.ts` adds it to librdkafka.
    ...(isDelegationToken && { 'sasl.scram.tokenauth': true }),
  }
}

function tlsSettings({ verify, ca, certificate, key }: TlsOptions, passphrase: unknown): Settings {
  return {
    'enable.ssl.certificate.verification': verify,
    'ssl.endpoint.identification.algorithm': verify ? 'https' : 'none',
    ...(ca !== undefined && { 'ssl.ca.pem': authorities(ca) }),
    ...(certificate !== undefined && key !== undefined && pair(certificate, key, passphrase)),
  }
}

/** Checks the PEM first, since librdkafka's error does not say which file is wrong. */
function authorities(ca: TextOrFile): string {
  const pem = readText(ca, 'security.ca')
  readCertificate(pem, 'security.ca', ca)
  return pem
}

function pair(certificate: TextOrFile, key: TextOrFile, passphrase: unknown): Settings {
  const certificatePem = readText(certificate, 'security.certificate')
  const keyPem = readText(key, 'security.key')
  const parsed = readCertificate(certificatePem, 'security.certificate', certificate)
  if (!parsed.checkPrivateKey(readKey(keyPem, key, passphrase))) {
    throw cannotUse('security.key', key, 'it is not the key of the certificate')
  }
  return { 'ssl.certificate.pem': certificatePem, 'ssl.key.pem': keyPem }
}

function readCertificate(pem: string, name: string, given: TextOrFile): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw cannotUse(name, given, 'it holds no certificate in PEM', error)
  }
}

function readKey(pem: string, given: TextOrFile, passphrase: unknown) {
  try {
    return createPrivateKey({
      key: pem,
      ...(typeof passphrase === 'string' && { passphrase }),
    })
  } catch (error) {
    const state = 'it holds no private key in PEM that can be read'
    throw cannotUse('security.key', given, state, error)
  }
}
