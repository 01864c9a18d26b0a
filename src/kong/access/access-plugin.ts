/**
 * Access plugins run before a request reaches Kafka: they identify its consumer, and limit requests.
 */
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type * as v from 'valibot'
import type { ErrorCode } from '../../core/errors.ts'
import type { RateLimits, RequestLimiter } from '../../core/fixed-window-limiter.ts'
import type { FormCredentials } from '../../core/form-credentials.ts'
import type { LoginCounter } from '../../core/login-counter.ts'
import type { KongConsumer } from '../model/entities.ts'
import type { CredentialSession } from './credential-session.ts'
import type { Credentials } from './credentials.ts'
import type { Verdict } from './verdict.ts'

/** A request on its way through the plugins of its route. */
export interface KongAccess {
  readonly c: Context
  /** The client's address. */
  readonly address: string
  /** The service of its route. */
  readonly serviceId: string | undefined
  /** Finds the session of a browser whose user has logged in. */
  readonly session: () => Promise<CredentialSession | undefined>
  consumer: KongConsumer | undefined
  /** The id of the credential by which the consumer is known. */
  credential: string | undefined
  /** When the credential ends, in milliseconds since 1970; undefined where it does not. */
  until: number | undefined
  /** The origin of a page that `cors` names as one that may send credentials. */
  credentialOrigin: string | undefined
  /** How upstreams are told of the credential: its id, user name or key. */
  credentialIdentifier: string | undefined
  /** Names of query parameters that held a credential. */
  readonly credentialParameters: string[]
  /** Names of headers that held a credential: no log shows them. */
  readonly credentialHeaders: string[]
  /** Names of those that are forwarded all the same, without `hide_credentials`. */
  readonly forwardedCredentials: string[]
}

/** A configured plugin: it lets a request pass, or answers it. */
export interface AccessStep {
  (access: KongAccess): Promise<Response | undefined> | Response | undefined
  /**
   * Checks the credentials of a form by which a browser logs in. Only plugins that authenticate have it.
   *
   * @returns Undefined for credentials of another kind.
   */
  readonly logIn?: (form: FormCredentials) => Promise<Verdict | undefined>
}

/** Makes the counters of one plugin, which count all threads of the process. */
export interface PluginCounters {
  requests(limits: RateLimits): RequestLimiter
  logins(): LoginCounter
}

/** A plugin of Kong's that is served beside `kafka-consume`. */
export interface AccessPlugin<S extends v.GenericSchema = v.GenericSchema> {
  readonly name: string
  /** The schema of `config`, in Kong's names. */
  readonly schema: S
  /** Whether the plugin can be for one consumer only. Plugins that identify the consumer cannot. */
  readonly isForConsumers: boolean
  /**
   * @param credentials Returns the present credentials: they change with the configuration.
   * @param counters Makes the plugin's counters.
   */
  make(
    config: v.InferOutput<S>,
    credentials: () => Credentials,
    counters: PluginCounters,
  ): AccessStep
}

/** A plugin whose `make` gets what its schema yields. */
export function accessPlugin<S extends v.GenericSchema>(plugin: AccessPlugin<S>): AccessPlugin {
  return plugin as unknown as AccessPlugin
}

/** Answers a request with an error, so that it does not reach Kafka. */
export function refuse(
  c: Context,
  status: number,
  code: ErrorCode,
  message: string,
  rest: Readonly<Record<string, unknown>> = {},
): Response {
  return c.json({ ...rest, message, code }, status as ContentfulStatusCode)
}
