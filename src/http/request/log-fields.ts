/** Facts about a request that are not in it: the entities of Kong's that it belongs to, its client's address. */
import type { Context } from 'hono'

/** Fields by their name in a log's entry, such as `consumer`, `route` and `client_ip`. */
export type LogFields = Readonly<Record<string, unknown>>

declare module 'hono' {
  interface ContextVariableMap {
    /**
     * Further fields of the request's entry in `kafkaLog`. Lua functions read `consumer`,
     * `authenticated_entity`, `route`, `service` and `client_ip` by Kong's PDK.
     */
    kafkaLogFields?: LogFields
  }
}

const NONE: LogFields = {}

export function logFieldsOf(c: Context): LogFields {
  return (c.get('kafkaLogFields') as LogFields | undefined) ?? NONE
}
