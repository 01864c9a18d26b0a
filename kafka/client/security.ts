/** The one place where a cluster's options become settings of librdkafka. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import type { ClusterOptions, PasswordSasl, TextOrFile, TlsOptions } from '../../src/port/kafka.ts'
import type { Settings } from './client.ts'
import type { OAuthTokens } from './oauth-tokens.ts'

/**
 * What connects a client of any kind: brokers, TLS and SASL, by librdkafka's names. Files are read
 * anew, so that a later connection has what was renewed meanwhile.
 *
 * @param tokens Where tokens come from, for OAUTHBEARER.
 * @throws KafkaConsumeError INVALID_OPTIONS for a file that cannot be read and for what is no PEM.
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

/**
 * What an option holds, or its file. White space around a file's content is no part of it.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS that names the file.
 */
export function textOf(given: TextOrFile, name: string): string {
  if (typeof given === 'string') return given
  try {
    return readFileSync(given.file, 'utf8').trim()
  } catch (error) {
    const state = (error as NodeJS.ErrnoException).code ?? 'it cannot be read'
    throw cannotUse(name, `${given.file}: ${state}`, error)
  }
}

function passwordSettings(sasl: PasswordSasl): Settings {
  const { mechanism, user, password, isDelegationToken } = sasl
  return {
    'sasl.mechanisms': mechanism,
    'sasl.username': user,
    'sasl.password': textOf(password, 'the password'),
    ...(isDelegationToken && { 'sasl.scram.tokenauth': true }), // native/delegation-tokens.ts
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

/** librdkafka says of a mistake in PEM only that there is one: we look first, and say where. */
function authorities(ca: TextOrFile): string {
  const pem = textOf(ca, 'ca')
  readCertificate(pem, 'ca')
  return pem
}

function pair(certificate: TextOrFile, key: TextOrFile, passphrase: unknown): Settings {
  const certificatePem = textOf(certificate, 'certificate')
  const keyPem = textOf(key, 'key')
  const parsed = readCertificate(certificatePem, 'certificate')
  if (!parsed.checkPrivateKey(readKey(keyPem, passphrase))) {
    throw cannotUse('key', 'it is not the key of the certificate')
  }
  return { 'ssl.certificate.pem': certificatePem, 'ssl.key.pem': keyPem }
}

function readCertificate(pem: string, name: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw cannotUse(name, 'it holds no certificate in PEM', error)
  }
}

function readKey(pem: string, passphrase: unknown) {
  try {
    return createPrivateKey({
      key: pem,
      ...(typeof passphrase === 'string' && { passphrase }),
    })
  } catch (error) {
    throw cannotUse('key', 'it holds no private key in PEM that can be read', error)
  }
}

function cannotUse(name: string, state: string, cause?: unknown): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_OPTIONS', `Cannot use ${name} for Kafka: ${state}`, {
    cause,
  })
}
