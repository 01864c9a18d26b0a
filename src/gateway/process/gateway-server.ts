/** One thread's gateway with its listeners. */

import type { MayShow } from '../../kong/model/references.ts'
import { createGateway, type Gateway, type GatewayOptions, type OtherThreads } from '../app.ts'
import type { KnownClient } from '../auth/clients.ts'
import type { NotReady } from '../health.ts'
import { redirectToHttps, STANDARD_HTTPS_PORT, strictTransportSecurity } from '../https.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'
import type { Tracing } from '../tracing.ts'
import type { ConfiguredPart } from './configuration.ts'
import { gatewayOptions } from './gateway-options.ts'
import { HttpsServer } from './https-server.ts'
import { type HttpServer, listen, listenFirst } from './listen.ts'

/** The flags that choose the address of plain HTTP, for messages. */
export const HTTP_FLAGS = { port: '--port', host: '--host' }

/** The part of the process that serves clients: this thread, or several. */
export interface GatewayServer {
  /** The parts that follow Kong's entities. */
  readonly parts: readonly ConfiguredPart[]
  /** HTTPS, once it is listened on; undefined without it. */
  readonly https: { readonly port: number; readonly isRedirectedTo: boolean } | undefined
  /**
   * Listens.
   *
   * @returns The port of plain HTTP.
   * @throws Error that says why an address cannot be used and which flag chooses another.
   */
  listen(): number | Promise<number>
  /** Serves these clients from now on, where credentials are required. */
  replaceClients(clients: readonly KnownClient[]): void | Promise<void>
  /**
   * Reads the files of HTTPS again.
   *
   * @returns What is served now.
   */
  reloadCertificates(): Promise<string>
  /** Why requests cannot be served; empty when they can. */
  notReady(): readonly NotReady[] | Promise<readonly NotReady[]>
  /** See {@link Gateway.start}. */
  start(): Promise<void>
  /** Ends listening; resolves when no connection is left. */
  stop(): Promise<unknown>
  /** See {@link Gateway.close}. */
  close(): Promise<void>
}

/** The parts of a thread's gateway that the settings do not have. */
export interface ServerParts {
  readonly cluster: GatewayOptions['cluster'] | undefined
  readonly mayShow: MayShow
  readonly tracing: Tracing | undefined
  /** Absent: this thread serves alone. */
  readonly threads?: OtherThreads
}

/** The ports that threads listen on. */
export interface SharedPorts {
  readonly port: number
  /** Undefined without HTTPS. */
  readonly httpsPort: number | undefined
}

export class OneThreadServer implements GatewayServer {
  readonly gateway: Gateway
  readonly https: HttpsServer | undefined
  readonly parts: readonly ConfiguredPart[]
  readonly #config: GatewayConfig
  #server: HttpServer | undefined

  /** @throws Error that names a file of the certificates of HTTPS. */
  constructor(config: GatewayConfig, { cluster, mayShow, tracing, threads }: ServerParts) {
    this.#config = config
    const { https } = config
    this.gateway = createGateway({
      ...gatewayOptions(config),
      ...(cluster && { cluster }),
      mayShow,
      ...(threads && { threads }),
      middleware: [...(tracing?.middleware ?? []), ...strictTransportSecurity(https?.hsts)],
      ...(https && { httpsPort: () => this.https?.port ?? STANDARD_HTTPS_PORT }),
    })
    if (https) this.https = new HttpsServer(config.host, https, this.gateway.app, process.env)
    this.parts = this.https ? [this.gateway, this.https] : [this.gateway]
  }

  listen(): number {
    this.https?.listen()
    return this.#listen(this.#config.port, false)
  }

  /**
   * Listens on ports that other threads listen on, too.
   *
   * @param known The ports. Default: this thread is the first, and chooses those that are not configured.
   */
  listenWithOthers(known: SharedPorts | undefined): SharedPorts {
    if (known) {
      if (known.httpsPort !== undefined) this.https?.listenWithOthers(known.httpsPort)
      this.#listen(known.port, true)
      return known
    }
    const { host, port } = this.#config
    this.https?.listen()
    const listened = listenFirst({ port, host }, HTTP_FLAGS, () => this.#listen(port, true))
    return { port: listened, httpsPort: this.https?.port }
  }

  #listen(port: number, isShared: boolean): number {
    const { app } = this.gateway
    const { https } = this
    const plainApp = https?.isRedirectedTo ? redirectToHttps(app, https.port) : app
    const { host } = this.#config
    this.#server = listen({ port, host }, HTTP_FLAGS, plainApp, undefined, isShared)
    return this.#server.port ?? port
  }

  replaceClients(clients: readonly KnownClient[]): void {
    this.gateway.replaceClients(clients)
  }

  async reloadCertificates(): Promise<string> {
    return this.https?.reload() ?? ''
  }

  notReady(): readonly NotReady[] {
    return this.gateway.notReady()
  }

  start(): Promise<void> {
    return this.gateway.start()
  }

  stop(): Promise<unknown> {
    return Promise.all([this.#server?.stop(), this.https?.stop()])
  }

  close(): Promise<void> {
    return this.gateway.close()
  }

  /** Closes all connections at once, in the middle of whatever they are sent. */
  abort(): void {
    void this.#server?.stop(true)
    this.https?.abort()
  }
}
