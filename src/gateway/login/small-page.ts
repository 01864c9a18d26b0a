/** The frame of the gateway's pages beside the console, such as that to log in, in the console's colours. */
import type { Context } from 'hono'
import { html, raw } from 'hono/html'
import { NONCE, secureHeaders } from 'hono/secure-headers'

type Html = ReturnType<typeof html>

/**
 * A page that needs no script.
 *
 * @param nonce Allows its style and script by the page's content security policy.
 */
export const smallPage = (title: string, nonce: string, content: Html) => html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · Kafka over HTTP</title>
    <style nonce="${nonce}">${raw(STYLE)}</style>
    <script nonce="${nonce}">${raw(THEME)}</script>
  </head>
  <body>
    <main>
      <h1>Kafka over HTTP</h1>
      ${content}
    </main>
  </body>
</html>`

/**
 * Headers of these pages. With the referrer's origin a browser sends `Origin` along with a form,
 * which without it would be `null`.
 */
const headers = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: [NONCE],
    styleSrc: [NONCE],
    baseUri: ["'none'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
  referrerPolicy: 'same-origin',
  strictTransportSecurity: false,
  xFrameOptions: 'DENY',
})

/** Answers with the headers of these pages; `secureHeadersNonce` is then on the context. */
export async function withPageHeaders(
  c: Context,
  make: () => Response | Promise<Response>,
): Promise<Response | undefined> {
  let answer: Response | undefined
  await headers(c, async () => {
    answer = await make()
  })
  return answer
}

/** Whether a browser wants to show the answer as a page. */
export function isPageRequest(c: Context): boolean {
  const isRead = c.req.method === 'GET' || c.req.method === 'HEAD'
  return isRead && c.req.header('Accept')?.includes('text/html') === true
}

/** Takes over the theme that was chosen in the console. */
const THEME = `{
  const theme = localStorage.getItem('theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
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
main p, main li { overflow-wrap: anywhere; }
main :is(p, li) a { color: var(--accent); }
ul { display: grid; gap: 6px; padding-left: 20px; }
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
.quiet {
  font: inherit; min-height: 40px; padding: 8px 12px; color: var(--ink); background: none;
  border: 1px solid var(--line); border-radius: 6px; cursor: pointer;
}
h2 { font-size: 15px; }
.hint { margin-top: -10px; font-size: 13px; color: var(--quiet); }
.error { color: var(--bad); }
.info, .or { color: var(--quiet); }
.or { text-align: center; }
`
