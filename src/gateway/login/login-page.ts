import { html, raw } from 'hono/html'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { AcceptedCredentials } from '../../core/form-credentials.ts'
import { smallPage } from './small-page.ts'

/** The texts of the login page. */
export interface LoginNotice {
  readonly status: ContentfulStatusCode
  /** Why a login failed. */
  readonly error?: string
  /** A note on how the browser came here. */
  readonly info?: string
  /** The name that was given. */
  readonly name?: string
  /** The path to go to after the login. */
  readonly next?: string
}

interface LoginPageParts extends LoginNotice {
  readonly next: string
  /** The path that takes the form. */
  readonly action: string
  readonly accepted: AcceptedCredentials
  /** The issuer by which users may log in, and the path where that begins. */
  readonly issuer: { readonly host: string; readonly path: string } | undefined
  /** The nonce by which the page's content security policy allows its style and script. */
  readonly nonce: string
}

/** The page with the form to log in. It needs no script. */
export const loginPage = (parts: LoginPageParts) => {
  const { accepted, issuer, error, info, nonce } = parts
  const hasForm = accepted.keys || accepted.tokens || accepted.passwords
  return smallPage(
    'Log in',
    nonce,
    html`${error !== undefined && html`<p class="error" role="alert" id="error">${error}</p>`}
      ${info !== undefined && html`<p class="info" role="status">${info}</p>`}
      ${issuer && issuerLink(parts, issuer)}
      ${issuer && hasForm && html`<p class="or">or</p>`}
      ${hasForm && form(parts)}
      <script nonce="${nonce}">${raw(FRAGMENT)}</script>`,
  )
}

const issuerLink = (
  { next, error }: LoginPageParts,
  { host, path }: NonNullable<LoginPageParts['issuer']>,
) =>
  html`<a class="main" id="issuer" href="${path}?next=${encodeURIComponent(next)}">${
    error === undefined ? 'Log in' : 'Try again'
  } with ${host}</a>`

const form = ({ accepted, action, error, name = '', next }: LoginPageParts) => {
  const secret = secretName(accepted)
  const hasHint = accepted.passwords && (accepted.keys || accepted.tokens)
  return html`<form method="post" action="${action}">
        <input type="hidden" name="next" id="next" value="${next}">
        ${
          accepted.passwords &&
          html`<label>Name <input
          name="name"
          value="${name}"
          autocomplete="username"
          autocapitalize="none"
          spellcheck="false"
          ${name === '' && 'autofocus'}
          ${hasHint && raw('aria-describedby="hint"')}
          ${!hasHint && 'required'}
        ></label>
        ${hasHint && html`<p class="hint" id="hint">Empty for a ${nameOfTokens(accepted)}.</p>`}`
        }
        <label>${secret} <input
          type="password"
          name="secret"
          autocomplete="current-password"
          required
          ${(!accepted.passwords || name !== '') && 'autofocus'}
          ${error !== undefined && raw('aria-invalid="true" aria-describedby="error"')}
        ></label>
        <button type="submit" class="main">Log in</button>
      </form>`
}

function nameOfTokens({ keys, tokens }: AcceptedCredentials): string {
  return [keys && 'key', tokens && 'token'].filter(Boolean).join(' or ')
}

function secretName(accepted: AcceptedCredentials): string {
  const names = [
    accepted.passwords && 'password',
    accepted.keys && 'key',
    accepted.tokens && 'token',
  ]
  const text = names
    .filter(Boolean)
    .join(', ')
    .replace(/, (\w+)$/, ' or $1')
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

/** A page that goes on by itself, as a request of this gateway's own page. */
export const onwardPage = (next: string) => html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="color-scheme" content="light dark">
    <meta http-equiv="refresh" content="0; url=${next}">
    <title>Logged in · Kafka over HTTP</title>
  </head>
  <body><main><p>Logged in. <a href="${next}">Go on</a></p></main></body>
</html>`

/** Browsers send no fragment to servers, and a view of the console may be in it. */
const FRAGMENT = `{
  const next = document.getElementById('next')
  const issuer = document.getElementById('issuer')
  if (location.hash && location.pathname !== '/login') {
    if (next) next.value += location.hash
    if (issuer) issuer.href += encodeURIComponent(location.hash)
  }
}`
