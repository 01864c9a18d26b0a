import { readFileSync } from 'node:fs'
import { assertDistinct, type KnownClient, readClients } from '../auth/clients.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'

/**
 * Reads who may be served: BEARER_KEYS and the file of `--clients`.
 *
 * @throws Error that names the file, and clients of one name or key.
 */
export function loadClients({ guard, clients: path }: GatewayConfig): readonly KnownClient[] {
  const fromEnvironment = guard?.clients ?? []
  if (path === undefined) return fromEnvironment
  const clients = [...fromEnvironment, ...readClientsFile(path)]
  try {
    assertDistinct(clients)
  } catch (error) {
    const state = error instanceof Error ? error.message : String(error)
    throw new Error(`Cannot use BEARER_KEYS with ${path}: ${state}`, { cause: error })
  }
  return clients
}

function readClientsFile(path: string): readonly KnownClient[] {
  try {
    return readClients(readFileSync(path, 'utf8'), process.env)
  } catch (error) {
    const state = error instanceof Error ? error.message : String(error)
    throw new Error(`Cannot use ${path}: ${state}`, { cause: error })
  }
}
