import { createRequire } from 'node:module'

let loaded: Readonly<Record<string, unknown>> | undefined

/** The client's addon with the classes of `native/`. The client's package has loaded it before. */
export function addon(): Readonly<Record<string, unknown>> {
  loaded ??= createRequire(import.meta.url)('@confluentinc/kafka-javascript/librdkafka') as Record<
    string,
    unknown
  >
  return loaded
}
