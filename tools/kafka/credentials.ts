/**
 * The credentials of a secured broker and its clients, which OpenSSL makes for each cluster: certificates
 * signed by an authority of its own, some that must be refused, and a key that signs tokens.
 */
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A user of SASL and of client certificates. ACLs define what the user may do. */
interface User {
  readonly name: string
  readonly password: string
}

/** The superuser. */
export const admin: User = { name: 'admin', password: 'admin-secret' }
/** A user who may do only what ACLs allow. */
export const reader: User = { name: 'reader', password: 'reader-secret' }

/** Certificates of brokers, by file name. Clients must refuse all but `broker`. */
const brokerCertificates = {
  broker: { issuer: 'ca', name: 'localhost', days: 30 },
  expired: { issuer: 'ca', name: 'localhost', days: -1 },
  foreign: { issuer: 'foreign-ca', name: 'localhost', days: 30 },
  'other-host': { issuer: 'ca', name: 'kafka.example', days: 30 },
} as const

/** Certificates of clients, by file name. A broker must refuse `foreign-client` and `expired-client`. */
const clientCertificates = {
  [reader.name]: { issuer: 'ca', days: 30 },
  'foreign-client': { issuer: 'foreign-ca', days: 30 },
  'expired-client': { issuer: 'ca', days: -1 },
} as const

/**
 * Makes the files `NAME.pem` (a certificate), `NAME.key` and `NAME.both` with both of them; `jwks.json`,
 * with which a broker verifies tokens; and `token-key.json`, which signs tokens.
 */
export async function makeCredentials(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  await Promise.all(['ca', 'foreign-ca'].map((name) => makeAuthority(folder, name)))
  await Promise.all([
    ...Object.entries(brokerCertificates).map(([file, { issuer, name, days }]) => {
      const names = name === 'localhost' ? 'DNS:localhost,IP:127.0.0.1' : `DNS:${name}`
      return certify(folder, { file, issuer, name, days, names })
    }),
    ...Object.entries(clientCertificates).map(([name, { issuer, days }]) =>
      certify(folder, { file: name, issuer, name, days }),
    ),
  ])
  makeTokenKey(folder)
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

function makeAuthority(folder: string, name: string): Promise<void> {
  return openssl(folder, [
    ...['req', '-x509', ...EC, '-days', '30', '-subj', `/CN=${name}`],
    ...['-keyout', `${name}.key`, '-out', `${name}.pem`],
  ])
}

interface Request {
  readonly file: string
  readonly issuer: string
  readonly name: string
  /** Days of validity. A negative number makes a certificate that has expired. */
  readonly days: number
  /** Subject alternative names in OpenSSL's notation. */
  readonly names?: string
}

async function certify(folder: string, { file, issuer, name, days, names }: Request) {
  await openssl(folder, [
    ...['req', '-new', ...EC, '-subj', `/CN=${name}`],
    ...['-keyout', `${file}.key`, '-out', `${file}.csr`],
  ])
  writeFileSync(join(folder, `${file}.ext`), names ? `subjectAltName=${names}\n` : '')
  await openssl(folder, [
    ...['x509', '-req', '-in', `${file}.csr`, '-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`],
    ...['-set_serial', String(Math.floor(Math.random() * 2 ** 31)), '-days', String(days)],
    ...['-extfile', `${file}.ext`, '-out', `${file}.pem`],
  ])
  const parts = [`${file}.key`, `${file}.pem`].map((part) => Bun.file(join(folder, part)).text())
  writeFileSync(join(folder, `${file}.both`), (await Promise.all(parts)).join(''))
}

async function openssl(folder: string, args: readonly string[]): Promise<void> {
  if (Bun.which('openssl') === null) {
    throw new Error('Cannot make certificates: this machine lacks the command openssl; install it')
  }
  const child = Bun.spawn(['openssl', ...args], { cwd: folder, stdout: 'ignore', stderr: 'pipe' })
  const errors = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) throw new Error(`Cannot make certificates: ${errors}`)
}

function makeTokenKey(folder: string): void {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const names = { kid: 'test', use: 'sig', alg: 'RS256' }
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), ...names }] }
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify(jwks))
  const key = { ...privateKey.export({ format: 'jwk' }), ...names }
  writeFileSync(join(folder, 'token-key.json'), JSON.stringify(key), { mode: 0o600 })
}
