import type { Context } from 'hono'
import { clientOf, urlOf } from './client.ts'

/** A request as it goes on to Kafka: without credentials, and with headers that say who its client is. */
export interface ForwardedRequest {
  readonly method: string
  /** Without parameters that held credentials. */
  readonly url: URL
  /** By lower-case name. */
  readonly headers: Headers
}

export function forwardedRequest(c: Context): ForwardedRequest {
  const { credentialHeaders = [], forwardedCredentials = [], identityHeaders = {} } = clientOf(c)
  const headers = new Headers(c.req.raw.headers)
  for (const name of credentialHeaders) {
    if (!forwardedCredentials.includes(name)) headers.delete(name)
  }
  for (const [name, value] of Object.entries(identityHeaders)) {
    if (value === null) headers.delete(name)
    else headers.set(name, value)
  }
  return { method: c.req.method, url: urlOf(c), headers }
}

/** Headers as an object by lower-case name; a name that is repeated has an array. */
export function headerMap(headers: Headers): Record<string, string | string[]> {
  return grouped(headers)
}

/** The parameters of a query; a name that is repeated has an array. */
export function queryMap({ searchParams }: URL): Record<string, string | string[]> {
  return grouped(searchParams)
}

/** Groups values by name. */
export function grouped(
  entries: Iterable<readonly [name: string, value: string]>,
): Record<string, string | string[]> {
  const found = new Map<string, string[]>()
  for (const [name, value] of entries) {
    const values = found.get(name)
    if (values) values.push(value)
    else found.set(name, [value])
  }
  const single = [...found].map(([name, values]) => {
    return [name, values.length > 1 ? values : (values[0] as string)] as const
  })
  return Object.fromEntries(single)
}
