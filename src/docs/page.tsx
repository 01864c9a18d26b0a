/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { html } from 'hono/html'

/** The page that shows `/openapi.json`; its script fills it. */
export const PAGE = html`<!doctype html>${(
  <html lang="en" data-document="openapi.json">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <title>Kafka over HTTP: API</title>
      <link rel="icon" href="data:," />
      <script src="docs/scalar.js" defer />
      <script src="docs/docs.js" type="module" />
    </head>
    <body>
      <div id="docs" />
    </body>
  </html>
)}`
