import { getConnInfo } from 'hono/bun'
import type { GatewayOptions } from '../app.ts'
import { addressFinder } from '../auth/address.ts'
import type { GuardOptions } from '../auth/guard.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'
import { loadClients } from './clients-file.ts'
import { maxEagerStarts } from './open-files.ts'

/**
 * The options of the guard, with the clients of the file of `--clients`.
 *
 * @throws Error that names the file.
 */
export function guardOptions(config: GatewayConfig): GuardOptions | undefined {
  return config.clients === undefined
    ? config.guard
    : { ...config.guard, clients: loadClients(config) }
}

/** The options that a gateway has of its settings alone. */
export function gatewayOptions(config: GatewayConfig): GatewayOptions {
  return {
    guard: guardOptions(config),
    sessions: config.sessions,
    kafkaCa: config.kafkaCa,
    groupInstanceId: config.groupInstanceId,
    groupProtocol: config.groupProtocol,
    environment: process.env,
    metrics: config.metrics,
    compression: config.compression,
    pageCaching: config.pageCaching,
    pageMaxAge: config.pageMaxAge,
    filters: config.filters,
    addressOf: addressFinder(getConnInfo, config.trustedProxies),
    maxSubscribers: config.maxSubscribers,
    maxEagerStarts: maxEagerStarts(),
    maxAnswerBytes: config.maxAnswerBytes,
    console: config.console,
    docs: config.docs,
    produce: config.produce,
  }
}
