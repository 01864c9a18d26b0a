import { readFileSync } from 'node:fs'
import { type KnownClient, readClients } from '../auth/clients.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'

/**
 * Reads who may be served: BEARER_KEYS and the file of `--clients`.
 *
 * @throws Error that names the file.
 */
export function loadClients({ guard, clients: path }: GatewayConfig): readonly KnownClient[] {
  const fromEnvironment = guard?.clients ?? []
  return path === undefined ? fromEnvironment : [...fromEnvironment, ...readClientsFile(path)]
}

function readClientsFile(path: string): readonly KnownClient[] {
  try {
    return readClients(readFileSync(path, 'utf8'), process.env)
  } catch (error) {
    const state = error instanceof Error ? error.message : String(error)
    throw new Error(`Cannot use ${path}: ${state}`, { cause: error })
  }
}
