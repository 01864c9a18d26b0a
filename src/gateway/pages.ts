import { type Context, Hono } from 'hono'
import { KafkaConsumeError } from '../core/errors.ts'
import { requestStatisticsOf } from '../core/request-statistics.ts'
import { clientOf, isRestricted, type KafkaClient } from '../http/request/client.ts'
import { docsRoutes } from '../observability/openapi/docs.ts'
import type { OperationPath } from '../observability/openapi/openapi.ts'
import { statusHandler } from '../observability/status.ts'
import { kafkaConsole } from './console/console.ts'
import type { ServedRoute } from './routing-table.ts'

interface PageOptions {
  /** The routes that the pages show. */
  readonly served: () => readonly ServedRoute[]
  /** The path of the console page, or `off`. */
  readonly console: string
  /** Whether `/openapi.json` and `/docs` are there. */
  readonly docs: boolean
  /** Whether `/metrics` is there. */
  readonly metrics: boolean
}

/** The gateway's pages: the console with `/status`, and the API docs. */
export class Pages {
  /** The paths of pages that browsers show. */
  readonly #paths: ReadonlySet<string>
  readonly #app = new Hono<{ Bindings: { kafkaClient: KafkaClient } }>({ strict: false })

  constructor({ served, console: page, docs, metrics }: PageOptions) {
    const app = this.#app
    const paths = [...(docs ? ['/docs'] : []), ...(page === 'off' ? [] : [page])]
    this.#paths = new Set(paths.map(withoutSlash))
    app.use((c, next) => {
      c.set('kafkaClient', c.env.kafkaClient)
      return next()
    })
    const operations: OperationPath[] = ['/healthz', '/readyz']
    if (metrics) operations.push('/metrics')
    if (page !== 'off') operations.push('/status')
    if (docs) app.route('/', docsRoutes(served, operations))
    if (page !== 'off') {
      app.get('/status', statusHandler(served))
      app.route(page, kafkaConsole({ docs: docs ? '/docs' : undefined }))
    }
    app.notFound((c) => c.json({ message: 'no Route matched with those values' }, 404))
  }

  /** Whether a request is for a page, and not for one of its files or for data. */
  isPage({ req: { method, path } }: Context): boolean {
    return method === 'GET' && this.#paths.has(withoutSlash(path))
  }

  /**
   * Answers a request; with 404, as Kong does, where there is no such page.
   *
   * @param guard Answers in a page's place where the client may not see it.
   */
  async handle(
    c: Context,
    guard: (c: Context) => Promise<Response | undefined>,
  ): Promise<Response> {
    const response = await this.#app.fetch(c.req.raw, { kafkaClient: clientOf(c) })
    if (response.status === 404) return response
    const statistics = requestStatisticsOf(c)
    if (statistics) statistics.route = '(console)'
    return (await guard(c)) ?? response
  }
}

function withoutSlash(path: string): string {
  return path.replace(/\/$/, '')
}

/** Refuses a client that may see some records only: pages and metrics show what there is in all. */
export function refuseRestricted(c: Context): Response | undefined {
  if (!isRestricted(clientOf(c))) return undefined
  const message = 'Cannot show this: the client may see a part of the records only'
  const { status, code } = new KafkaConsumeError('FORBIDDEN', message)
  return c.json({ message, code }, status)
}
