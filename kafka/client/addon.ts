import { requireClient } from '../../native/addon.ts'

let loaded: Readonly<Record<string, unknown>> | undefined

/** The client's addon with the classes of `native/`. The client's package has loaded it before. */
export function addon(): Readonly<Record<string, unknown>> {
  loaded ??= requireClient('/librdkafka') as Record<string, unknown>
  return loaded
}
