/** The gateway's settings for HTTPS. */
import * as v from 'valibot'

/** The port of HTTPS, as in Kong. */
export const DEFAULT_HTTPS_PORT = 8443
const PORT_RANGE = 'a whole number from 0 to 65535 is required'
/** Seconds of two years, which is more than any browser's list asks for. */
const MAX_HSTS = 63_072_000
const HSTS_RANGE = `a whole number of seconds from 0 to ${MAX_HSTS} is required`

const onOff = v.picklist(['on', 'off'], 'on or off is required')

/** Each setting with the names of its flag and variable; every value comes as text. */
export const httpsSettings = {
  tlsCert: v.pipe(
    v.optional(v.string()),
    v.description(
      'Certificate of HTTPS, followed by its chain, in PEM; read again on SIGHUP. Without it there is no HTTPS',
    ),
    v.metadata({ flag: 'tls-cert', variable: 'TLS_CERT', value: 'file' }),
  ),
  tlsKey: v.pipe(
    v.optional(v.string()),
    v.description('Private key of --tls-cert, in PEM without a passphrase; read again on SIGHUP'),
    v.metadata({ flag: 'tls-key', variable: 'TLS_KEY', value: 'file' }),
  ),
  httpsPort: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.regex(/^\d{1,5}$/, PORT_RANGE),
        v.transform(Number),
        v.maxValue(65_535, PORT_RANGE),
      ),
    ),
    v.description('Port of HTTPS, 0 to 65535; 0 takes any that is free'),
    v.metadata({
      flag: 'https-port',
      variable: 'HTTPS_PORT',
      value: 'number',
      default: String(DEFAULT_HTTPS_PORT),
    }),
  ),
  httpsRedirect: v.pipe(
    v.optional(onOff),
    v.description(
      'Whether plain HTTP only redirects to HTTPS; health checks are answered in any case: on, off',
    ),
    v.metadata({
      flag: 'https-redirect',
      variable: 'HTTPS_REDIRECT',
      value: 'switch',
      default: 'off',
    }),
  ),
  hsts: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.regex(/^\d{1,8}$/, HSTS_RANGE),
        v.transform(Number),
        v.maxValue(MAX_HSTS, HSTS_RANGE),
      ),
    ),
    v.description(
      'Seconds for which browsers use HTTPS only for this host (Strict-Transport-Security), 0 to 63072000; default: the header is not sent',
    ),
    v.metadata({ flag: 'hsts', variable: 'HSTS', value: 'seconds' }),
  ),
  http2: v.pipe(
    v.optional(onOff),
    v.description('Whether HTTPS offers HTTP/2 beside HTTP/1.1: on, off'),
    v.metadata({ flag: 'http2', variable: 'HTTP2', value: 'switch', default: 'on' }),
  ),
  http3: v.pipe(
    v.optional(onOff),
    v.description(
      'Whether HTTPS offers HTTP/3, on the UDP port of the number of --https-port (experimental): on, off',
    ),
    v.metadata({ flag: 'http3', variable: 'HTTP3', value: 'switch', default: 'off' }),
  ),
}

type GivenHttps = v.InferOutput<v.ObjectSchema<typeof httpsSettings, undefined>>
/** The name of one of these settings. */
export type HttpsSetting = keyof typeof httpsSettings

/** How HTTPS is served. */
export interface HttpsConfig {
  /** The file of the certificate and its chain. */
  readonly cert: string
  /** The file of the private key. */
  readonly key: string
  readonly port: number
  /** Whether plain HTTP only redirects to HTTPS. */
  readonly redirect: boolean
  /** Seconds of `Strict-Transport-Security`; undefined where the header is not sent. */
  readonly hsts: number | undefined
  readonly http2: boolean
  readonly http3: boolean
}

/** Errors of settings that do not fit together, each with the setting to change. */
export function httpsErrors(
  given: GivenHttps,
): ReadonlyArray<readonly [setting: HttpsSetting, message: string]> {
  const { tlsCert, tlsKey } = given
  if (tlsCert === undefined && tlsKey !== undefined) return [['tlsCert', 'required with --tls-key']]
  if (tlsCert !== undefined && tlsKey === undefined) return [['tlsKey', 'required with --tls-cert']]
  if (tlsCert !== undefined) return []
  const names = Object.keys(httpsSettings) as HttpsSetting[]
  return names
    .filter((name) => given[name] !== undefined)
    .map((name) => [name, 'of use with --tls-cert only'])
}

/** Replaces the settings by those of HTTPS, `https`; undefined without a certificate. */
export function withHttps<T extends GivenHttps>(given: T) {
  const { tlsCert, tlsKey, httpsPort, httpsRedirect, hsts, http2, http3, ...rest } = given
  if (tlsCert === undefined || tlsKey === undefined) return { ...rest, https: undefined }
  const https: HttpsConfig = {
    cert: tlsCert,
    key: tlsKey,
    port: httpsPort ?? DEFAULT_HTTPS_PORT,
    redirect: httpsRedirect === 'on',
    hsts,
    http2: http2 !== 'off',
    http3: http3 === 'on',
  }
  return { ...rest, https }
}
