import { expect, test } from 'bun:test'
import { Hono } from 'hono'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { type MediaType, negotiate } from '../../src/http/request/accept.ts'

const JSON_TYPE = 'application/json'
const LINES = 'application/x-ndjson'
const EVENTS = 'text/event-stream'

const GET: [MediaType, ...MediaType[]] = [JSON_TYPE, LINES]
const STREAM: [MediaType, ...MediaType[]] = [EVENTS, LINES]
const AUTO: [MediaType, ...MediaType[]] = [JSON_TYPE, LINES, EVENTS]

async function chosen(accept: string | undefined, offered: [MediaType, ...MediaType[]]) {
  const app = new Hono().get('/', (c) => c.text(negotiate(c, offered)))
  app.onError((error, c) => c.text(error instanceof KafkaConsumeError ? error.code : 'broken'))
  const headers: Record<string, string> = accept === undefined ? {} : { accept }
  return (await app.request('/', { headers })).text()
}

const NONE = 'NOT_ACCEPTABLE'

// https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1
test.each<[string | undefined, string, string, string]>([
  // Accept, what a GET gives, what a stream gives, what `auto` gives
  [undefined, JSON_TYPE, EVENTS, JSON_TYPE],
  ['', JSON_TYPE, EVENTS, JSON_TYPE],
  ['*/*', JSON_TYPE, EVENTS, JSON_TYPE],
  ['application/json', JSON_TYPE, NONE, JSON_TYPE],
  ['application/json; charset=utf-8', JSON_TYPE, NONE, JSON_TYPE],
  ['APPLICATION/JSON', JSON_TYPE, NONE, JSON_TYPE],
  ['application/*', JSON_TYPE, LINES, JSON_TYPE],
  ['application/x-ndjson', LINES, LINES, LINES],
  ['application/json, application/x-ndjson', JSON_TYPE, LINES, JSON_TYPE],
  ['application/json;q=0.1, application/x-ndjson', LINES, LINES, LINES],
  ['text/event-stream', NONE, EVENTS, EVENTS],
  ['text/event-stream, */*', JSON_TYPE, EVENTS, EVENTS],
  ['text/event-stream, */*;q=0.1', JSON_TYPE, EVENTS, EVENTS],
  ['text/event-stream;q=0.5, application/json', JSON_TYPE, EVENTS, JSON_TYPE],
  ['text/*', NONE, EVENTS, EVENTS],
  ['text/event-stream;q=0, */*', JSON_TYPE, LINES, JSON_TYPE],
  ['application/json;q=0, */*', LINES, EVENTS, LINES],
  ['*/*;q=0', NONE, NONE, NONE],
  ['text/html', NONE, NONE, NONE],
  ['text/html, application/xhtml+xml, */*;q=0.8', JSON_TYPE, EVENTS, JSON_TYPE],
  ['application/jsonp', NONE, NONE, NONE],
])('Accept: %s', async (accept, get, stream, auto) => {
  expect(await chosen(accept, GET)).toBe(get)
  expect(await chosen(accept, STREAM)).toBe(stream)
  expect(await chosen(accept, AUTO)).toBe(auto)
})
