/** Sessions of browsers: who has logged in, kept in an encrypted cookie. */
import type { Context } from 'hono'
import * as v from 'valibot'
import { logOf } from '../../core/log.ts'
import { LruMap } from '../../core/lru-map.ts'
import type { KafkaClient } from '../../http/request/client.ts'
import type { CredentialReference } from '../../kong/access/credential-session.ts'
import { scopeSchema } from './scope.ts'
import { SealedCookie } from './sealed-cookie.ts'

const log = logOf('auth')

/** How long sessions last, and by which key they are encrypted. */
export interface SessionOptions {
  /** Milliseconds from the login to the end of the session. */
  readonly maxAge: number
  /** Encrypts the sessions. Default: a random text, so that sessions end with the process. */
  readonly secret?: string | undefined
  /** Whether the secret ends with the process. Default: where there is none. */
  readonly isTemporary?: boolean
  /** Sessions that ended before their time. Default: those of this thread. */
  readonly ended?: EndedSessions | undefined
}

/** Ended sessions that are remembered. Overflow policy: the one that ended first is forgotten. */
const MAX_ENDED = 10_000

/** The ids of sessions that ended by logging out, before their time. */
export class EndedSessions {
  readonly #ids = new LruMap<string, true>(MAX_ENDED)
  readonly #onEnd: (id: string) => void

  /** @param onEnd Called with each session that ends here. */
  constructor(onEnd: (id: string) => void = () => {}) {
    this.#onEnd = onEnd
  }

  has(id: string): boolean {
    return this.#ids.get(id) === true
  }

  /** Ends a session. */
  end(id: string): void {
    this.note(id)
    this.#onEnd(id)
  }

  /** Notes a session that ended elsewhere. */
  note(id: string): void {
    this.#ids.set(id, true)
  }
}

const sessionSchema = v.object({
  /** Tells sessions apart. */
  jti: v.string(),
  /** The client's name: its name in the settings, or the subject of its token. */
  sub: v.string(),
  /** Seconds since 1970. */
  exp: v.number(),
  /** The name to show. Default: `sub`. */
  label: v.optional(v.string()),
  /**
   * The version of the client in the settings: any change to it, as of its key, ends the session.
   * Absent for a session by a token.
   */
  version: v.optional(v.string()),
  /** The scope that a token gave. */
  only: v.optional(scopeSchema),
  /** The credential of one of Kong's consumers. Its change or removal ends the session. */
  credential: v.optional(
    v.object({
      plugin: v.string(),
      id: v.string(),
      version: v.string(),
      token: v.optional(
        v.object({
          claim: v.string(),
          isBase64: v.boolean(),
          exp: v.optional(v.number()),
          nbf: v.optional(v.number()),
        }),
      ),
    }),
  ),
})

export type Session = Readonly<v.InferOutput<typeof sessionSchema>>

/** A client that has shown its credentials, and gets a session. */
export interface LoggedIn extends Pick<Session, 'sub' | 'label' | 'version'> {
  /** The scope that a token gave. */
  readonly only?: KafkaClient['only']
  /** The credential of one of Kong's consumers. */
  readonly credential?: CredentialReference
  /** When its credentials expire, in milliseconds since 1970. Default: they do not. */
  readonly until?: number | undefined
}

/** The cookies of sessions: clients of the gateway's settings, and consumers of Kong's configuration. */
export type SessionCookie = 'kafka-session' | 'kafka-consumer-session'

export class Sessions {
  readonly #cookie: SealedCookie
  readonly #maxAge: number
  readonly #ended: EndedSessions
  /** Whether the log is to say that sessions end with the process. */
  #mustWarn: boolean

  constructor(
    cookie: SessionCookie,
    {
      maxAge,
      secret,
      isTemporary = secret === undefined,
      ended = new EndedSessions(),
    }: SessionOptions,
  ) {
    this.#ended = ended
    this.#cookie = new SealedCookie(cookie, secret)
    this.#maxAge = maxAge
    this.#mustWarn = isTemporary
  }

  /**
   * Begins a session, which ends with the client's credentials at the latest.
   *
   * @throws CookieTooLong
   */
  async begin(c: Context, { until = Infinity, ...client }: LoggedIn): Promise<void> {
    const end = Math.min(until, Date.now() + this.#maxAge)
    await this.#cookie.set(c, { jti: crypto.randomUUID(), ...client }, end)
    if (!this.#mustWarn) return
    this.#mustWarn = false
    log.warn(
      'Sessions of browsers end with this process, and other nodes do not accept them: SESSION_SECRET is not set',
    )
  }

  /** The session of a request; undefined where there is none, or where it has ended. */
  async find(c: Context): Promise<Session | undefined> {
    const session = v.safeParse(sessionSchema, await this.#cookie.read(c))
    if (!session.success || this.#ended.has(session.output.jti)) return undefined
    return session.output
  }

  /** Whether a request has a session, ended or not. */
  isIn(c: Context): boolean {
    return this.#cookie.isIn(c)
  }

  /** Ends the session of a request, also for copies of its cookie. */
  async end(c: Context): Promise<void> {
    const session = await this.find(c)
    if (session) this.#ended.end(session.jti)
    this.#cookie.delete(c)
  }
}
