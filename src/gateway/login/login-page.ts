import { html, raw } from 'hono/html'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { AcceptedCredentials } from '../../core/form-credentials.ts'

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
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Log in · Kafka over HTTP</title>
    <style nonce="${nonce}">${raw(STYLE)}</style>
    <script nonce="${nonce}">${raw(THEME)}</script>
  </head>
  <body>
    <main>
      <h1>Kafka over HTTP</h1>
      ${error !== undefined && html`<p class="error" role="alert" id="error">${error}</p>`}
      ${info !== undefined && html`<p class="info" role="status">${info}</p>`}
      ${issuer && issuerLink(parts, issuer)}
      ${issuer && hasForm && html`<p class="or">or</p>`}
      ${hasForm && form(parts)}
    </main>
    <script nonce="${nonce}">${raw(FRAGMENT)}</script>
  </body>
</html>`
}

const issuerLink = ({ next }: LoginPageParts, issuer: { host: string; path: string }) =>
  html`<a class="main" id="issuer" href="${issuer.path}?next=${encodeURIComponent(next)}">Log in with ${issuer.host}</a>`

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

/** Takes over the theme that was chosen in the console. */
const THEME = `{
  const theme = localStorage.getItem('theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
}`

/** Browsers send no fragment to servers, and a view of the console may be in it. */
const FRAGMENT = `{
  const next = document.getElementById('next')
  const issuer = document.getElementById('issuer')
  if (location.hash && location.pathname !== '/login') {
    if (next) next.value += location.hash
    if (issuer) issuer.href += encodeURIComponent(location.hash)
  }
}`

/** The style of the page, in the console's colours. */
const STYLE = `
:root {
  color-scheme: light dark;
  --page: light-dark(#f6f7f7, #0f1315);
  --surface: light-dark(#ffffff, #161b1e);
  --line: light-dark(#7d898d, #64747a);
  --ink: light-dark(#172023, #e3e9ea);
  --quiet: light-dark(#5c6b70, #8d9da3);
  --accent: light-dark(#0f766e, #4fd1c0);
  --on-accent: light-dark(#ffffff, #06201d);
  --bad: light-dark(#b42318, #f08a80);
  font: 15px / 1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
  color: var(--ink);
  background: var(--page);
}
[data-theme="light"] { color-scheme: light; }
[data-theme="dark"] { color-scheme: dark; }
* { box-sizing: border-box; margin: 0; }
body { min-height: 100vh; display: grid; place-items: center; padding: 16px; }
main {
  width: 100%; max-width: 360px; display: grid; gap: 16px; padding: 28px 24px;
  background: var(--surface); border: 1px solid light-dark(#e2e6e6, #252d31); border-radius: 10px;
}
h1 { font-size: 18px; }
form { display: grid; gap: 14px; }
label { display: grid; gap: 4px; font-weight: 600; }
input {
  font: inherit; font-weight: normal; width: 100%; min-height: 40px; padding: 6px 10px; color: inherit;
  background: var(--page); border: 1px solid var(--line); border-radius: 6px;
}
:is(input, a, button):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.main {
  display: block; font: inherit; font-weight: 600; min-height: 40px; padding: 8px 12px;
  text-align: center; text-decoration: none; color: var(--on-accent); background: var(--accent);
  border: 0; border-radius: 6px; cursor: pointer;
}
.hint { margin-top: -10px; font-size: 13px; color: var(--quiet); }
.error { color: var(--bad); }
.info, .or { color: var(--quiet); }
.or { text-align: center; }
`
