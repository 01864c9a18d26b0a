/** Checks what the files for Kafka hold that settings name, so that the start names the setting. */
import { readFileSync } from 'node:fs'
import type { GivenFile } from '../settings/gateway-settings.ts'
import { isCertificate, parsePair } from './key-pair.ts'

/**
 * Files are read again for each connection, where an error names the file only.
 *
 * @param files All files that settings name, which can be read.
 * @throws KafkaConsumeError INVALID_OPTIONS, which names the setting.
 */
export function assertKafkaFiles(files: readonly GivenFile[]): void {
  const [ca, cert, key, password] = (
    ['kafkaCa', 'kafkaCertificate', 'kafkaKey', 'kafkaPasswordFile'] as const
  ).map((setting) => files.find((file) => file.setting === setting))
  if (ca && !isCertificate(textOf(ca))) {
    throw ca.error('it is not a certificate in PEM', 'a file with certificates in PEM is required')
  }
  if (cert && key) assertPair(cert, key)
  if (password && textOf(password).trim() === '') {
    throw password.error('it is empty', 'a file with the password is required')
  }
}

function assertPair(cert: GivenFile, key: GivenFile): void {
  const found = parsePair({ cert: textOf(cert), key: textOf(key) })
  if (!('error' in found)) return
  if (found.part === 'cert') {
    throw cert.error(found.error, 'a file with a certificate in PEM is required')
  }
  throw key.error(found.error, "a file with the certificate's private key in PEM is required")
}

function textOf({ path }: GivenFile): string {
  return readFileSync(path, 'utf8')
}
