/** Logging in as one of Kong's consumers, and the sessions that begin with it. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../core/errors.ts'
import type { AcceptedCredentials, FormCredentials } from '../core/form-credentials.ts'
import { isForeignPage } from '../http/request/page-origin.ts'
import type { AccessStep } from '../kong/access/access-plugin.ts'
import type { CredentialSession } from '../kong/access/credential-session.ts'
import { versionOf } from '../kong/access/credentials.ts'
import type { Identified, Verdict } from '../kong/access/verdict.ts'
import type { KongConsumer } from '../kong/model/entities.ts'
import type { LoggedIn, Session, Sessions } from './auth/sessions.ts'
import type { RoutingTable } from './routing-table.ts'

/** The plugins that authenticate, by the kind of credentials that a form gives them. */
const PLUGINS = { keys: 'key-auth', tokens: 'jwt', passwords: 'basic-auth' } as const

/** The parts of a routing table by which consumers log in. */
type LoginTable = Pick<RoutingTable, 'scopes' | 'stepsByPlugin' | 'credentials'>

export class KongLogins {
  readonly sessions: Sessions | undefined
  readonly #table: () => LoginTable
  readonly #isPage: (c: Context) => boolean

  /**
   * @param table Returns the present table.
   * @param isPage Whether a request is for a page that pages of other origins may link to.
   */
  constructor(
    sessions: Sessions | undefined,
    table: () => LoginTable,
    isPage: (c: Context) => boolean,
  ) {
    this.sessions = sessions
    this.#table = table
    this.#isPage = isPage
  }

  /** Whether any route authenticates consumers. */
  get isNeeded(): boolean {
    return Object.values(this.accepted()).includes(true)
  }

  accepted(): AcceptedCredentials {
    const { scopes } = this.#table()
    const isThere = (name: string) => !Iterator.from(scopes.all(name)).next().done
    return {
      keys: isThere(PLUGINS.keys),
      tokens: isThere(PLUGINS.tokens),
      passwords: isThere(PLUGINS.passwords),
    }
  }

  /**
   * Checks the credentials of a form by the plugins of all routes. Any of them may accept them: the
   * session then has the consumer's rights on each route, as the credential has.
   *
   * @returns The consumer to begin a session for; undefined for wrong credentials.
   * @throws KafkaConsumeError RATE_LIMITED
   */
  async logIn(_c: Context, form: FormCredentials): Promise<LoggedIn | undefined> {
    for (const plugin of Object.values(PLUGINS)) {
      const verdicts = await this.#verdicts(plugin, form)
      const waiting = verdicts.find((verdict) => 'retryAfter' in verdict)
      if (waiting) throw tooManyFailures(waiting.retryAfter)
      const found = verdicts.find((verdict) => 'id' in verdict)
      const session = found && (await this.#sessionOf(plugin, found))
      if (session) return session
    }
    return undefined
  }

  /** The verdicts of a plugin's different configurations. Thousands of routes may have an equal one. */
  async #verdicts(name: string, form: FormCredentials): Promise<readonly Verdict[]> {
    const { scopes, stepsByPlugin } = this.#table()
    const steps = new Map<string, AccessStep | undefined>()
    for (const { id, config } of scopes.all(name)) {
      const key = JSON.stringify(config)
      if (!steps.has(key)) steps.set(key, stepsByPlugin.get(id))
    }
    const verdicts = await Promise.all([...steps.values()].map((step) => step?.logIn?.(form)))
    return verdicts.filter((verdict) => verdict !== undefined)
  }

  async #sessionOf(
    plugin: string,
    { id, consumer: { id: consumerId }, until, token }: Identified,
  ): Promise<LoggedIn | undefined> {
    const { credentials } = this.#table()
    const held = credentials.byId(id)
    const consumer = credentials.consumer(consumerId)
    // The configuration may have changed meanwhile.
    if (!held || !consumer) return undefined
    const version = await versionOf(held)
    const credential = { plugin, id, version, ...(token && { token }) }
    return { sub: consumer.id, label: nameOf(consumer), until, credential }
  }

  /** The session of a request, as Kong's plugins see it. */
  async find(c: Context): Promise<CredentialSession | undefined> {
    const session = this.isIn(c) ? await this.sessions?.find(c) : undefined
    if (!session?.credential) return undefined
    const isForeign = isForeignPage(c, () => false) && !this.#isPage(c)
    return { credential: session.credential, until: session.exp * 1_000, isForeign }
  }

  /** Whether a request has a session, ended or not. */
  isIn(c: Context): boolean {
    return this.sessions?.isIn(c) === true
  }

  /** The session of a request whose credential still is as it was, for pages that show who is logged in. */
  async account(c: Context): Promise<Session | undefined> {
    const session = this.isIn(c) ? await this.sessions?.find(c) : undefined
    const credential = session?.credential
    const held = credential && (await this.#table().credentials.byReference(credential))
    return held && session
  }
}

/** The name of a consumer for users. */
function nameOf({ username, custom_id, id }: KongConsumer): string {
  return username ?? custom_id ?? id
}

function tooManyFailures(retryAfter: number): KafkaConsumeError {
  const message = `Cannot log in: too many attempts with this name have failed; try again in ${retryAfter} s`
  return new KafkaConsumeError('RATE_LIMITED', message, { retryAfter })
}
