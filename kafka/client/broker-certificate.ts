import { connect } from 'node:tls'
import type { TlsOptions } from '../../src/port/kafka.ts'
import { UNTRUSTED } from './errors.ts'
import { textOf } from './security.ts'

const ASK_LIMIT_MS = 3_000

const STATES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate of the broker has expired',
  CERT_NOT_YET_VALID: 'the certificate of the broker is not valid yet',
  CERT_REVOKED: 'the certificate of the broker is revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the broker is for another host name',
}

/**
 * Why a broker's certificate cannot be verified. librdkafka does not tell an old one from a foreign
 * one, so we look at it ourselves; nothing is sent.
 *
 * @param detail What librdkafka says, which names the broker.
 * @returns What completes "Cannot …: ".
 */
export function whyUntrusted(detail: string, { ca }: TlsOptions): Promise<string> {
  const [, address = '', port = ''] = /ssl:\/\/(\S+):(\d+)\//.exec(detail) ?? []
  const host = address.replace(/^\[|\]$/g, '')
  if (host === '') return Promise.resolve(UNTRUSTED)
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port: Number(port),
      // By RFC 6066, 3, an address is no server name.
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
      ...(ca !== undefined && { ca: textOf(ca, 'ca') }),
    })
    const tell = (state = UNTRUSTED) => {
      socket.destroy()
      resolve(state)
    }
    socket.setTimeout(ASK_LIMIT_MS, () => tell())
    socket.on('secureConnect', () => tell())
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => tell(STATES[code]))
  })
}
