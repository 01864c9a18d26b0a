/** Certificates of HTTPS with their private keys, read and checked. It runs on Bun and on Node. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A certificate, followed by its chain, and its private key, in PEM. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

/** The files of a certificate and its key. */
interface KeyPairFiles {
  readonly cert: string
  readonly key: string
}

/**
 * Reads the certificate and key of HTTPS.
 *
 * @throws Error that names the file, where it cannot be read, is not PEM, needs a passphrase, is of
 *   another pair, or where the certificate has expired or is not valid yet.
 */
export function readKeyPair(files: KeyPairFiles): KeyPair & { readonly validTo: Date } {
  const pair = { cert: readPem(files.cert), key: readPem(files.key) }
  const found = parsePair(pair)
  if ('error' in found) throw new Error(`Cannot use ${files[found.part]}: ${found.error}`)
  const { certificate } = found
  const error = validityError(certificate, new Date())
  if (error !== undefined) throw new Error(`Cannot use ${files.cert}: ${error}`)
  return { ...pair, validTo: new Date(certificate.validTo) }
}

/** Why a certificate and a key are not a pair that HTTPS can use; undefined where they are. */
export function keyPairError(pair: KeyPair): string | undefined {
  const found = parsePair(pair)
  return 'error' in found ? `${found.part}: ${found.error}` : undefined
}

/** A certificate whose key fits, or the part that is wrong and why. */
type ParsedPair =
  | { readonly certificate: X509Certificate }
  | { readonly part: keyof KeyPairFiles; readonly error: string }

export function parsePair({ cert, key }: KeyPair): ParsedPair {
  const certificate = parseCertificate(cert)
  if (!certificate) return { part: 'cert', error: 'it is not a certificate in PEM' }
  const parsedKey = parseKey(key)
  if (typeof parsedKey === 'string') return { part: 'key', error: parsedKey }
  if (!certificate.checkPrivateKey(parsedKey)) {
    return { part: 'key', error: 'the key does not belong to the certificate' }
  }
  return { certificate }
}

/** Whether a text begins with a certificate in PEM. */
export function isCertificate(pem: string): boolean {
  return parseCertificate(pem) !== undefined
}

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

/** @returns The key, or why there is none, without the library's words: they may quote the key. */
function parseKey(pem: string): KeyObject | string {
  if (/ENCRYPTED/.test(pem)) {
    return 'the key is encrypted; a key without a passphrase is required'
  }
  try {
    return createPrivateKey(pem)
  } catch {
    return 'it is not a private key in PEM'
  }
}

function validityError({ validFrom, validTo }: X509Certificate, now: Date): string | undefined {
  const [from, to] = [new Date(validFrom), new Date(validTo)]
  if (now > to) return `the certificate has expired: it was valid until ${to.toISOString()}`
  if (now < from) return `the certificate is not valid yet: it is from ${from.toISOString()} on`
  return undefined
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}
