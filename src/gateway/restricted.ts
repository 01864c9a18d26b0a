/** Answers for clients with a scope in place of pages that show what there is in all. */
import type { Context } from 'hono'
import { html } from 'hono/html'
import { KafkaConsumeError } from '../core/errors.ts'
import { clientOf, isRestricted } from '../http/request/client.ts'
import { errorResponse } from '../http/response/error-response.ts'
import { readableStatus } from '../observability/readable-status.ts'
import type { Status } from '../observability/status.ts'
import { describeScope } from './auth/scope.ts'
import { LOGOUT_PATH } from './login/login.ts'
import { isPageRequest, smallPage, withPageHeaders } from './login/small-page.ts'

/** Modes of routes that a link can open. */
const LINKED = new Set(['http-get', 'server-sent-events', 'auto'])

interface RestrictedParts {
  readonly status: () => Promise<Status>
  /** The path of the console page, or `off`. */
  readonly console: string
}

/**
 * Refuses a client that may see some records only: as JSON, or to a browser with a page of what the
 * client may read. Undefined for other clients.
 */
export async function refuseRestricted(
  c: Context,
  parts: RestrictedParts,
): Promise<Response | undefined> {
  if (!isRestricted(clientOf(c))) return undefined
  const message = 'Cannot show this: the client may see a part of the records only'
  c.header('Cache-Control', 'no-store')
  if (!isPageRequest(c)) return errorResponse(c, new KafkaConsumeError('FORBIDDEN', message), false)
  return withPageHeaders(c, async () => c.html(await restrictedPage(c, parts), 403))
}

async function restrictedPage(c: Context, { status, console: path }: RestrictedParts) {
  const client = clientOf(c)
  const { routes } = readableStatus(await status(), client)
  const links = routes.filter(({ mode, paths, hosts }) => {
    return LINKED.has(mode) && hosts.length === 0 && paths[0]?.startsWith('/') === true
  })
  const session = c.get('gatewaySession')
  const name = session?.label ?? client.name
  return smallPage(
    'A part of the records',
    c.get('secureHeadersNonce') ?? '',
    html`<p class="error" role="alert">This page shows all that there is, and ${name ?? 'you'} may read a part of the records only.</p>
      <h2>What ${name ?? 'you'} may read</h2>
      <ul>${describeScope(client.only).map((each) => html`<li>${each}</li>`)}</ul>
      ${path !== 'off' && html`<a class="main" href="${path}">Open the console</a>`}
      ${
        links.length > 0 &&
        html`<h2>Where</h2>
      <ul>${links.map(({ paths: [at], mode, topics }) => html`<li><a href="${addressOf(at, mode)}">${at}</a>: ${topics.join(', ')}</li>`)}</ul>`
      }
      ${
        session &&
        html`<form method="post" action="${LOGOUT_PATH}"><button type="submit" class="quiet">Log out</button></form>`
      }`,
  )
}

/** An address that reads from a position: as the group of others such a client may not read. */
function addressOf(path: string | undefined, mode: string): string {
  return mode === 'server-sent-events' ? `${path}` : `${path}?start=-100`
}
