import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { type ErrorCode, KafkaConsumeError } from '../../src/core/errors.ts'
import { parseRead, parseSocket, parseStream } from '../../src/http/request/parameters.ts'
import { kafkaMetrics } from '../../src/observability/metrics.ts'
import { parseCursor } from '../../src/records/cursor.ts'
import { readProtocol } from '../support/protocol-pages.ts'

const page = readProtocol()

/** All codes: the compiler refuses one that is missing here, or no code. */
const codes: Record<ErrorCode, true> = {
  INVALID_OPTIONS: true,
  INVALID_PARAMETER: true,
  INVALID_CURSOR: true,
  UNAUTHENTICATED: true,
  FORBIDDEN: true,
  INVALID_RECORD: true,
  INVALID_HANDSHAKE: true,
  UNKNOWN_TOPIC: true,
  METHOD_NOT_ALLOWED: true,
  NOT_ACCEPTABLE: true,
  UPGRADE_REQUIRED: true,
  RATE_LIMITED: true,
  TOO_MANY_STREAMS: true,
  RECORD_TOO_LARGE: true,
  INTERNAL: true,
  KAFKA_AUTHENTICATION: true,
  KAFKA_AUTHORIZATION: true,
  KAFKA_ERROR: true,
  SCHEMA_REGISTRY_REFUSED: true,
  KAFKA_UNAVAILABLE: true,
  SCHEMA_REGISTRY_UNAVAILABLE: true,
  KAFKA_TIMEOUT: true,
  KAFKA_TLS: true,
  KAFKA_TOKEN: true,
  TOO_MANY_SUBSCRIBERS: true,
  TOO_MANY_ANSWERS: true,
  TOO_MANY_CATCH_UP_READS: true,
  TOO_MANY_POLLS: true,
  TOO_MANY_GROUPS: true,
  AUTHENTICATION_UNAVAILABLE: true,
  TOO_MANY_RECORDS: true,
  GROUP_MEMBER_FENCED: true,
  SHUTTING_DOWN: true,
}

describe('the pages of the protocol', () => {
  test('list every error code with its status, and no other', () => {
    const listed = [...page.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \|/gm)].map(([, code, status]) => [
      code,
      Number(status),
    ])
    const all = (Object.keys(codes) as ErrorCode[]).map((code) => [
      code,
      new KafkaConsumeError(code, 'Cannot test: it is a test').status,
    ])
    expect(listed.sort()).toEqual(all.sort())
  })

  test('give the ranges and defaults of reads', () => {
    const { limits } = parseRead(new URLSearchParams(), ['t'])
    const socket = parseSocket(new URLSearchParams({ acks: 'true' }), ['t'])
    const rows = new Map(
      [...page.matchAll(/^\| `(\w+)` \| (\d+) to (\d+) \| (\d+) \|/gm)].map(
        ([, name, ...numbers]) => [name as string, numbers.map(Number)] as const,
      ),
    )
    expect([...rows.keys()]).toEqual(['max_records', 'max_bytes', 'timeout', 'max_unacked'])
    for (const [name, [min = 0, max = 0]] of rows) {
      const ofSocket = name === 'max_unacked'
      const parse = (value: number) =>
        ofSocket
          ? parseSocket(new URLSearchParams({ acks: 'true', [name]: String(value) }), ['t'])
          : parseRead(new URLSearchParams({ [name]: String(value) }), ['t'])
      for (const at of [min, max]) parse(at)
      for (const beyond of [min - 1, max + 1]) {
        expect(() => parse(beyond)).toThrow(`${min} to ${max}`)
      }
    }
    expect([...rows.values()].map(([, , otherwise]) => otherwise)).toEqual([
      limits.maxRecords,
      limits.maxBytes,
      limits.timeout,
      socket.acks ? socket.maxUnacked : undefined,
    ])
  })

  test('list every metric with its type and HELP text, and no other', async () => {
    const app = new Hono().get('/metrics', kafkaMetrics({}).printMetrics)
    const text = await (await app.request('/metrics')).text()
    const printed = [...text.matchAll(/^# HELP (hono_kafka_\w+) (.*)\n# TYPE \w+ (\w+)$/gm)].map(
      ([, name, help, type]) => ({ name, type, help }),
    )
    const listed = [...page.matchAll(/^\| `(hono_kafka_\w+)` \| (\w+) \| .*? \| (.*) \|$/gm)].map(
      ([, name, type, help]) => ({ name, type, help }),
    )
    const byName = (rows: typeof listed) => new Map(rows.map((row) => [row.name, row]))
    expect(printed.length).toBeGreaterThan(40)
    expect(byName(listed)).toEqual(byName(printed))
  })

  test('show only values of start, cursors and durations that are understood', () => {
    const positions = page.slice(page.indexOf('## Positions'), page.indexOf('## Cursors'))
    const starts = [...positions.matchAll(/`((?:-|\d{4}|earliest|latest)[^`]*)`/g)].map(
      ([, start]) => start as string,
    )
    expect(starts.length).toBeGreaterThan(7)
    for (const start of starts) {
      const property = /^-\d+$/.test(start) ? 'newest' : 'start'
      expect(parseRead(new URLSearchParams({ start }), ['t']).position).toHaveProperty(property)
    }
    const cursors = [...page.matchAll(/\bkong-test:0=[\d,=]+/g)].map(([cursor]) => cursor)
    expect(cursors.length).toBeGreaterThan(4)
    for (const cursor of cursors) expect(parseCursor(cursor, 'cursor')).toHaveLength(4)
    const [, kafkaSse = ''] = /`(\[\{"topic":[^`]*\])`/.exec(page) ?? []
    expect(parseStream(new URLSearchParams(), kafkaSse, ['t']).position).toEqual({
      cursor: [{ topic: 't', partition: 0, offset: 43 }],
      parameter: 'Last-Event-ID',
    })
  })
})
