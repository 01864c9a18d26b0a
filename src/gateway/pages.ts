import { type Context, Hono } from 'hono'
import { requestStatisticsOf } from '../core/request-statistics.ts'
import { clientOf, type KafkaClient } from '../http/request/client.ts'
import { refuseMethod, refuseOtherMethods } from '../http/response/method-not-allowed.ts'
import { statusHandler } from '../observability/kafka-status.ts'
import { docsRoutes } from '../observability/openapi/docs.ts'
import type { OperationPath } from '../observability/openapi/operations.ts'
import type { Status } from '../observability/status.ts'
import { topicRoutes } from '../observability/topics.ts'
import type { Session } from './auth/sessions.ts'
import { kafkaConsole } from './console/console.ts'
import { LOGIN_PATH, LOGOUT_PATH } from './login/login.ts'
import { refuseRestricted } from './restricted.ts'
import type { ServedRoute } from './routing-table.ts'

const TOPICS = '/topics'
/** Paths of data that depend on the client's scope. */
const SCOPED_DATA = /^\/(?:status|topics(?:\/.*)?)\/?$/
/** Paths of pages and data that are not for clients with a scope, since they show what there is in all. */
const UNSCOPED = /^\/(?:docs(?:\/.*)?|openapi\.json)\/?$/

/** The parts of a request's context that its page depends on. */
interface PageBindings {
  readonly kafkaClient: KafkaClient
  readonly session: Session | undefined
  /** Whether browsers may log in. */
  readonly isLoginOffered: boolean
}

type PassOrAnswer = (c: Context) => Promise<Response | undefined> | undefined

/** The paths of pages that browsers show. */
export class PagePaths {
  readonly #paths: ReadonlySet<string>

  /**
   * @param page The path of the console page, or `off`.
   * @param docs Whether `/docs` is there.
   */
  constructor(page: string, docs: boolean) {
    const paths = [...(docs ? ['/docs'] : []), ...(page === 'off' ? [] : [page])]
    this.#paths = new Set(paths.map(withoutSlash))
  }

  /** Whether a request is for a page, and not for one of its files or for data. */
  has({ req: { method, path } }: Context): boolean {
    return method === 'GET' && this.#paths.has(withoutSlash(path))
  }
}

interface PageOptions {
  readonly paths: PagePaths
  /** The routes that the pages show. */
  readonly served: () => readonly ServedRoute[]
  /** The answer of `/status`. */
  readonly status: () => Promise<Status>
  /** The path of the console page, or `off`. */
  readonly console: string
  /** Whether `/openapi.json` and `/docs` are there. */
  readonly docs: boolean
  /** Whether `/metrics` is there. */
  readonly metrics: boolean
  /** Finds the session of the user who opens a page. */
  readonly account: (c: Context) => Promise<Session | undefined>
  /** Whether browsers may log in, by a request's host. */
  readonly isLoginOffered: (c: Context) => boolean
}

/** The gateway's pages: the console with `/status`, and the API docs. */
export class Pages {
  readonly #app = new Hono<{ Bindings: PageBindings }>({ strict: false })
  readonly #options: PageOptions

  constructor(options: PageOptions) {
    this.#options = options
    const { served, status, console: page, docs, metrics } = options
    const app = this.#app
    app.use((c, next) => {
      c.set('kafkaClient', c.env.kafkaClient)
      if (c.env.session) c.set('gatewaySession', c.env.session)
      return next()
    })
    const operations: OperationPath[] = ['/healthz', '/readyz']
    if (metrics) operations.push('/metrics')
    if (page !== 'off') operations.push('/status', '/topics', '/topics/{topic}')
    if (docs) app.route('/', docsRoutes(served, operations))
    if (page !== 'off') {
      app.get('/status', statusHandler(status))
      app.route(
        TOPICS,
        topicRoutes(() => served().flatMap(readingRoute)),
      )
      const login = (c: Context<{ Bindings: PageBindings }>) =>
        c.env.isLoginOffered ? LOGIN_PATH : undefined
      const paths = { docs: docs ? '/docs' : undefined }
      app.route(page, kafkaConsole({ ...paths, account: accountOf, login }))
    }
    refuseOtherMethods(app)
    // The gateway's app answers GET before Kong's routes, which may have other methods at that path.
    if (metrics) app.all('/metrics', (c) => refuseMethod(c))
    app.notFound((c) => c.json({ message: 'no Route matched with those values' }, 404))
  }

  /**
   * Answers a request; with 404, as Kong does, where there is no such page.
   *
   * @param guard Answers in a page's place where the client may not see it.
   */
  async handle(c: Context, guard: PassOrAnswer): Promise<Response> {
    if (SCOPED_DATA.test(c.req.path)) return this.#answerScoped(c, guard)
    const response = await this.#answer(c)
    if (response.status === 404) return response
    nameRoute(c)
    const refusal = await guard(c)
    if (refusal) return refusal
    const isUnscoped = UNSCOPED.test(c.req.path)
    return (isUnscoped && (await refuseRestricted(c, this.#options))) || response
  }

  /** Answers a request for data that depend on the client's scope. */
  async #answerScoped(c: Context, guard: PassOrAnswer): Promise<Response> {
    const refusal = await guard(c)
    if (refusal) return refusal
    nameRoute(c)
    return this.#answer(c)
  }

  async #answer(c: Context): Promise<Response> {
    const { paths, account, isLoginOffered } = this.#options
    const isPage = paths.has(c)
    const bindings: PageBindings = {
      kafkaClient: clientOf(c),
      session: isPage ? await account(c) : undefined,
      isLoginOffered: isPage && isLoginOffered(c),
    }
    const response = await this.#app.fetch(c.req.raw, bindings)
    // Another response would have no headers of those in front, such as the guard's limits.
    return c.newResponse(response.body, response)
  }
}

function withoutSlash(path: string): string {
  return path.replace(/\/$/, '')
}

/** The user of the session with which a page is opened. */
function accountOf(c: Context) {
  const session = c.get('gatewaySession')
  return session && { name: session.label ?? session.sub, logout: LOGOUT_PATH }
}

/** A route that reads, or none. */
function readingRoute({ name, handler }: ServedRoute) {
  return 'topicDetails' in handler ? [{ name, handler }] : []
}

function nameRoute(c: Context): void {
  const statistics = requestStatisticsOf(c)
  if (statistics) statistics.route = '(console)'
}
