import { connect } from 'node:tls'
import type { TlsOptions } from '../../src/port/cluster-options.ts'
import { UNTRUSTED } from './errors.ts'
import { readText } from './text-or-file.ts'

const TIMEOUT_MS = 3_000

const STATES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate of the broker has expired',
  CERT_NOT_YET_VALID: 'the certificate of the broker is not valid yet',
  CERT_REVOKED: 'the certificate of the broker is revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the broker is for another host name',
}

/**
 * Why a broker's certificate cannot be verified. librdkafka does not distinguish an expired certificate
 * from an unknown authority, so this opens a TLS connection of its own and sends nothing on it.
 *
 * @param detail librdkafka's message, which names the broker.
 * @returns The state that completes "Cannot <action>: "; never rejects.
 */
export async function whyUntrusted(detail: string, tls: TlsOptions): Promise<string> {
  const [, address = '', port = ''] = /ssl:\/\/(\S+):(\d+)\//.exec(detail) ?? []
  const host = address.replace(/^\[|\]$/g, '')
  if (host === '') return UNTRUSTED
  try {
    return await verify(host, port, tls)
  } catch {
    // The file of the authorities may be away for a moment, while it is replaced.
    return UNTRUSTED
  }
}

/** @throws Error when the authorities cannot be read, or are not valid. */
function verify(host: string, port: string, { ca }: TlsOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port: Number(port),
      // RFC 6066, 3: an IP address is not a server name.
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
      ...(ca !== undefined && { ca: readText(ca, 'security.ca') }),
    })
    const finish = (state = UNTRUSTED) => {
      socket.destroy()
      resolve(state)
    }
    socket.setTimeout(TIMEOUT_MS, () => finish())
    socket.on('secureConnect', () => finish())
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => finish(STATES[code]))
  })
}
