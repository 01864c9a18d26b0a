/**
 * HTTPS of a gateway process: its listeners, one after another, and the certificates that they show.
 *
 * Bun's server keeps the certificates with which it began to listen, `reload` included. Other
 * certificates therefore need another listener on the same port, by SO_REUSEPORT. The previous one
 * then takes no new connections, and its open ones, with their streams, go on to their end.
 */
import type { Hono } from 'hono'
import { logOf } from '../../core/log.ts'
import type { Certificate, KongSnapshot } from '../../kong/model/entities.ts'
import { type Environment, isVaultReference, resolveVault } from '../../kong/model/references.ts'
import { SchemaViolation } from '../../kong/model/schema-violation.ts'
import type { HttpsConfig } from '../settings/https-settings.ts'
import { type KeyPair, keyPairError, readKeyPair } from './key-pair.ts'
import { assertPortFree, type HttpServer, listen, listenFirst } from './listen.ts'

/** The name that stands for all names which no other SNI has. */
const ANY_NAME = '*'
const FLAGS = { port: '--https-port', host: '--host' }
/**
 * Milliseconds for which changes of Kong's certificates are collected: a client of the Admin API
 * sends one entity at a time, and each new listener may reset a connection that is not accepted yet.
 */
const SWITCH_DELAY_MS = 100
/** How many times as long as the last listener took to begin the next one waits at least. */
const SWITCH_PAUSE = 20
/**
 * Earlier listeners that may have connections. Each holds some 500 KB, and its certificates. Of
 * further ones the oldest closes its connections, and their streams resume.
 */
const MAX_EARLIER = 32

const log = logOf('server')

/** A certificate for the clients that ask for one server name. */
interface NamedPair extends KeyPair {
  readonly serverName: string
}

export class HttpsServer {
  readonly #host: string
  readonly #config: HttpsConfig
  readonly #app: Hono
  readonly #environment: Environment
  /** The pair of the files, for clients that ask for no name, or for one without a certificate. */
  #pair: KeyPair
  #named: readonly NamedPair[] = []
  #applied: KongSnapshot | undefined
  /** Certificates that were checked: a client of the Admin API may add thousands, one by one. */
  readonly #checked = new WeakMap<Certificate, KeyPair>()
  #listener: HttpServer | undefined
  #delayed: ReturnType<typeof setTimeout> | undefined
  /** Milliseconds for which collecting changes waits. */
  #delay = SWITCH_DELAY_MS
  /** Earlier listeners with connections, the oldest first; each resolves when none is left. */
  readonly #earlier = new Map<HttpServer, Promise<void>>()

  /**
   * @param environment The variables that vault references of Kong's certificates read.
   * @throws Error that names the file of `--tls-cert` or `--tls-key`.
   */
  constructor(host: string, config: HttpsConfig, app: Hono, environment: Environment) {
    this.#host = host
    this.#config = config
    this.#app = app
    this.#environment = environment
    this.#pair = readKeyPair(config)
  }

  /** The port that is listened on, once it is. */
  get port(): number {
    return this.#listener?.port ?? this.#config.port
  }

  /** Whether plain HTTP only redirects here. */
  get isRedirectedTo(): boolean {
    return this.#config.redirect
  }

  /** Listens. @throws Error that says why the address cannot be used and which flag chooses another. */
  listen(): void {
    const { port } = this.#config
    listenFirst({ port, host: this.#host }, FLAGS, () => this.listenWithOthers(port))
  }

  /** Listens on a port that other threads listen on, too. */
  listenWithOthers(port: number): void {
    this.#listener = this.#open(port)
  }

  /**
   * Reads the files of the certificate and its key again.
   *
   * @returns What is served now.
   * @throws Error that names the file, and nothing changes.
   */
  reload(): string {
    const { validTo, ...pair } = readKeyPair(this.#config)
    const isOther = pair.cert !== this.#pair.cert || pair.key !== this.#pair.key
    this.#pair = pair
    if (isOther) this.#switch()
    return `certificates valid until ${validTo.toISOString()}`
  }

  /**
   * Shows the certificates of a snapshot to the clients that ask for their SNIs.
   *
   * @throws SchemaViolation for a certificate that HTTPS cannot use, and nothing changes.
   */
  apply(snapshot: KongSnapshot): void {
    const { snis, certificates } = snapshot
    if (snis === this.#applied?.snis && certificates === this.#applied.certificates) return
    const named = this.#namedPairs(snapshot)
    this.#applied = snapshot
    if (areEqual(named, this.#named)) return
    this.#named = named
    if (!this.#listener || this.#delayed) return
    this.#delayed = setTimeout(() => {
      try {
        this.#switch()
      } catch (error) {
        log.error('Cannot show other certificates: {error}', { error })
      }
    }, this.#delay)
  }

  /** Ends listening; resolves when no connection is left. */
  async stop(): Promise<void> {
    clearTimeout(this.#delayed)
    await Promise.all([this.#listener?.stop(), ...this.#earlier.values()])
  }

  /** Closes all connections at once. */
  abort(): void {
    clearTimeout(this.#delayed)
    for (const server of [this.#listener, ...this.#earlier.keys()]) void server?.stop(true)
  }

  /** Lets another listener, with the present certificates, take the new connections. */
  #switch(): void {
    clearTimeout(this.#delayed)
    this.#delayed = undefined
    const previous = this.#listener
    const began = performance.now()
    this.#listener = this.#open(this.port)
    this.#delay = Math.max(SWITCH_DELAY_MS, SWITCH_PAUSE * (performance.now() - began))
    if (!previous) return
    // At once: the kernel gives some of the new connections to the previous listener until it ends.
    const drained = previous.stop().finally(() => this.#earlier.delete(previous))
    this.#earlier.set(previous, drained)
    const [oldest] = this.#earlier.keys()
    if (!oldest || this.#earlier.size <= MAX_EARLIER) return
    log.warn('Closing the connections that began {count} certificates ago', {
      count: MAX_EARLIER,
    })
    this.#earlier.delete(oldest)
    void oldest.stop(true)
  }

  #open(port: number): HttpServer {
    const { http2, http3 } = this.#config
    const others = this.#named.filter(({ serverName }) => serverName !== ANY_NAME)
    const any = this.#named.find(({ serverName }) => serverName === ANY_NAME)
    const { cert, key } = any ?? this.#pair
    const tls = [{ cert, key }, ...others]
    return listen({ port, host: this.#host }, FLAGS, this.#app, { tls, http2, http3 })
  }

  /** The certificates of a snapshot's SNIs. */
  #namedPairs({ snis, certificates }: KongSnapshot): NamedPair[] {
    const byId = new Map(certificates.map((certificate) => [certificate.id, certificate]))
    const named = new Map<string, NamedPair>()
    for (const { name, certificate: reference } of snis) {
      const certificate = byId.get(reference.id)
      // Names of hosts are equal whatever the case of their letters.
      const serverName = name.toLowerCase()
      if (!certificate || named.has(serverName)) continue
      named.set(serverName, { serverName, ...this.#checkedPair(certificate, name) })
    }
    return [...named.values()]
  }

  #checkedPair(certificate: Certificate, name: string): KeyPair {
    const pair = this.#checked.get(certificate) ?? checkPair(certificate, name, this.#environment)
    this.#checked.set(certificate, pair)
    return pair
  }
}

/** @throws Error that says why the address of HTTPS cannot be used and which flag chooses another. */
export function assertHttpsPortFree(host: string, { port }: HttpsConfig): void {
  assertPortFree({ port, host }, FLAGS)
}

function areEqual(some: readonly NamedPair[], others: readonly NamedPair[]): boolean {
  if (some.length !== others.length) return false
  return some.every(({ serverName, cert, key }, index) => {
    const other = others[index]
    return serverName === other?.serverName && cert === other.cert && key === other.key
  })
}

/** @throws SchemaViolation that names the certificate by its SNI: an id may be a derived one. */
function checkPair({ cert, key }: Certificate, name: string, environment: Environment): KeyPair {
  const refuse = (error: string): never => {
    throw new SchemaViolation({ '@entity': `cannot serve the certificate of ${name}: ${error}` })
  }
  const resolve = (text: string): string => {
    if (!isVaultReference(text)) return text
    const resolved = resolveVault(text, environment)
    return resolved.error === undefined ? resolved.value : refuse(resolved.error)
  }
  const pair = { cert: resolve(cert), key: resolve(key) }
  const error = keyPairError(pair)
  return error === undefined ? pair : refuse(error)
}
