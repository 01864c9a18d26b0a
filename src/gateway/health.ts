import { Hono } from 'hono'
import { refuseOtherMethods } from '../http/response/method-not-allowed.ts'

/** A reason why a gateway is not ready. */
export interface NotReady {
  /** A stable code: those of errors, and STARTING. */
  readonly code: string
  /** Safe to show to anyone. */
  readonly message: string
  /** Milliseconds since 1970. */
  readonly since: number
}

/** `Retry-After` of a 503, in seconds. */
const RETRY_AFTER_SECONDS = '2'

/**
 * `GET /healthz` answers 200 while the process runs, so that an orchestrator does not restart it when
 * Kafka is unreachable. `GET /readyz` answers 200 when requests can be served, else 503 with the reasons.
 *
 * @param notReady The reasons; empty when ready.
 */
export function healthRoutes(notReady: () => readonly NotReady[]): Hono {
  const app = new Hono()
  app.get('/healthz', (c) => {
    c.header('Cache-Control', 'no-store')
    return c.json({ status: 'alive' })
  })
  app.get('/readyz', (c) => {
    c.header('Cache-Control', 'no-store')
    const found = notReady()
    if (found.length === 0) return c.json({ status: 'ready' })
    c.header('Retry-After', RETRY_AFTER_SECONDS)
    const reasons = found.map((reason) => ({
      ...reason,
      since: new Date(reason.since).toISOString(),
    }))
    return c.json({ status: 'unavailable', reasons }, 503)
  })
  refuseOtherMethods(app)
  return app
}
