import { html } from 'hono/html'

/**
 * The page that shows `/openapi.json`; its script fills it.
 *
 * @param credentials The query with the credentials that it was opened with, or empty.
 */
export const page = (credentials: string) => html`<!doctype html>
<html lang="en" data-document="openapi.json${credentials}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Kafka over HTTP: API</title>
    <link rel="icon" href="data:,">
    <script src="docs/scalar.js${credentials}" defer></script>
    <script src="docs/docs.js${credentials}" type="module"></script>
  </head>
  <body>
    <div id="docs"></div>
  </body>
</html>`
