import { html, raw } from 'hono/html'
import packageJson from '../../../package.json' with { type: 'json' }
import { SHELL_MODULES, STYLES } from './assets.ts'

/** The addresses that the page asks for data, and those that it links to. */
export interface ConsoleLinks {
  readonly status: string
  readonly metrics: string
  readonly topics: string
  /** The API docs; without it the page has no link to them. */
  readonly docs: string | undefined
}

/** A user who has logged in. */
export interface ConsoleAccount {
  /** The name to show. */
  readonly name: string
  /** The address to which the page posts to log out. */
  readonly logout: string
}

/** The parts of the page that depend on its request. */
interface PageParts {
  /** Where its files are. */
  readonly files: string
  /** The query with the credentials that it was opened with, or empty. */
  readonly credentials: string
  /** The page's import map. */
  readonly imports: string
  /** The nonce by which the page's content security policy allows the import map. */
  readonly nonce: string
  /** The user who has logged in, if one has. */
  readonly account: ConsoleAccount | undefined
  /** The part of the records that the client may read, in words; undefined where it may read all. */
  readonly scope: readonly string[] | undefined
  /** The address of the page to log in, if there is one. */
  readonly login: string | undefined
}

/**
 * The page's frame. Its scripts, which get their addresses from here, put the navigation and one view
 * into it.
 */
export const page = (links: ConsoleLinks, parts: PageParts) => html`<!doctype html>
<html
  lang="en"
  data-status="${links.status}"
  data-metrics="${links.metrics}"
  data-topics="${links.topics}"
  data-credentials="${parts.credentials}"
  ${parts.scope && raw('data-scoped')}
  ${parts.login !== undefined && html`data-login="${parts.login}"`}
>
  ${head(parts)}
  <body>
    ${top(links, parts)}
    ${
      parts.scope &&
      html`<section class="scope" aria-label="Scope">You may read: ${parts.scope.join(' · ')}</section>`
    }
    <p class="banner" id="banner" role="alert" hidden></p>
    <main id="main"></main>
    <footer>hono-kafka-consume ${packageJson.version}</footer>
    <dialog id="keys" aria-labelledby="keys-title"></dialog>
    <p class="toast" id="toast" role="status" aria-live="polite"></p>
  </body>
</html>`

const head = ({ files, credentials, imports, nonce }: PageParts) => html`<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Kafka over HTTP</title>
    <script type="importmap" nonce="${nonce}">${raw(imports)}</script>
    <link rel="icon" href="${files}/icon.svg${credentials}" type="image/svg+xml">
    ${STYLES.map((name) => html`<link rel="stylesheet" href="${files}/${name}${credentials}">`)}
    <script src="${files}/theme.js${credentials}"></script>
    ${[...SHELL_MODULES, 'lit/lit-html.js'].map(
      (name) => html`<link rel="modulepreload" href="${files}/${name}${credentials}">`,
    )}
    <script src="${files}/console.js${credentials}" type="module"></script>
  </head>`

const top = (
  { docs, metrics }: ConsoleLinks,
  { credentials, account, login, scope }: PageParts,
) => html`<header class="top">
      <h1>Kafka over HTTP</h1>
      <nav id="views" aria-label="Views"></nav>
      <p class="kafka" id="kafka" role="status" data-state="wait">Connecting …</p>
      <div class="links">
        ${docs !== undefined && !scope && html`<a href="${docs}${credentials}">API</a>`}
        ${!scope && html`<a href="${metrics}${credentials}">Metrics</a>`}
        ${
          account &&
          html`<span class="account">${account.name}</span>
        <button type="button" id="logout" class="wide-button" data-address="${account.logout}">Log out</button>`
        }
        ${!account && login !== undefined && html`<a id="login" href="${login}">Log in</a>`}
        <button type="button" id="theme" title="Light or dark (t)" aria-label="Light or dark">◐</button>
        <button type="button" id="help" title="Keys (?)" aria-label="Keys">?</button>
      </div>
    </header>`
