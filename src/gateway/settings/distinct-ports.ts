/** The ports of a gateway, each of which listens on its own. */
import { DEFAULT_HTTPS_PORT } from './https-settings.ts'

interface GivenPorts {
  readonly port: number
  readonly host: string
  /** Undefined: the default, in whose place a demo takes any free port. */
  readonly adminPort?: number | 'off' | undefined
  readonly adminHost: string
  /** Undefined without HTTPS. */
  readonly tlsCert?: string | undefined
  readonly httpsPort?: number | undefined
}

/** Addresses that include all others of the machine. */
const ALL_ADDRESSES = ['0.0.0.0', '::']

/** Errors of ports that are given twice on one address, each with the setting to change. */
export function portErrors({
  port,
  host,
  adminPort,
  adminHost,
  ...given
}: GivenPorts): ReadonlyArray<readonly [setting: 'adminPort' | 'httpsPort', message: string]> {
  const httpsPort =
    given.tlsCert === undefined ? undefined : (given.httpsPort ?? DEFAULT_HTTPS_PORT)
  const isOneAddress =
    host === adminHost || [host, adminHost].some((each) => ALL_ADDRESSES.includes(each))
  const errors: Array<readonly ['adminPort' | 'httpsPort', string]> = []
  const add = (setting: 'adminPort' | 'httpsPort', other: string, shared: number) => {
    // Port 0 is any free port, another one each time.
    if (shared !== 0)
      errors.push([setting, `another port than that of ${other} is required, not ${shared}`])
  }
  if (httpsPort === port) add('httpsPort', '--port (PORT)', port)
  if (isOneAddress && adminPort === port) add('adminPort', '--port (PORT)', port)
  if (isOneAddress && httpsPort !== port && adminPort === httpsPort && httpsPort !== undefined)
    add('adminPort', '--https-port (HTTPS_PORT)', httpsPort)
  return errors
}
