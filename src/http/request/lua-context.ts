import type { Context } from 'hono'
import { type ForwardedRequest, headerMap, queryMap } from './forwarded-request.ts'
import { logFieldsOf } from './log-fields.ts'

/** The facts about a request that Kong's PDK tells Lua functions, as JSON for the sandbox. */
export function luaContext(
  c: Context,
  { method, url, headers }: ForwardedRequest,
  response?: { readonly status: number; readonly headers: Headers },
): string {
  const { consumer, authenticated_entity, route, service, client_ip } = logFieldsOf(c)
  return JSON.stringify({
    consumer,
    credential: authenticated_entity,
    ip: client_ip,
    route,
    service,
    request: {
      method,
      scheme: url.protocol.slice(0, -1),
      host: url.hostname,
      port: Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
      path: url.pathname,
      uri: url.pathname + url.search,
      raw_query: url.search.slice(1),
      query: queryMap(url),
      headers: headerMap(headers),
    },
    ...(response && {
      response: { status: response.status, headers: headerMap(response.headers) },
    }),
  })
}
