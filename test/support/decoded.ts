import { expect } from 'bun:test'
import { headerEntry, type KafkaRecord } from '../../src/port/kafka.ts'
import type { StreamedRecord } from './sse.ts'

interface Encoding {
  readonly key?: 'base64'
  readonly value?: 'base64'
  readonly headers?: Readonly<Record<string, 'base64'>>
}

function hex(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('hex')
}

function decode(text: unknown, encoding: 'base64' | undefined): string | null {
  if (text === null) return null
  if (typeof text !== 'string') throw new Error(`Expected text, found ${JSON.stringify(text)}`)
  return Buffer.from(text, encoding ?? 'utf8').toString('hex')
}

/** Holds that every byte of a record can be had back from what a client received. */
export function expectIntact(received: StreamedRecord, written: KafkaRecord): void {
  const encoding = (received.encoding ?? {}) as Encoding
  expect(received).toMatchObject({
    topic: written.topic,
    partition: written.partition,
    offset: written.offset,
    timestamp: written.timestamp,
  })
  expect(decode(received.key, encoding.key)).toBe(hex(written.key))
  expect(decode(received.value, encoding.value)).toBe(hex(written.value))
  const expected = new Map<string, (string | null)[]>()
  for (const header of written.headers ?? []) {
    const [name, value] = headerEntry(header)
    expected.set(name, [...(expected.get(name) ?? []), hex(value)])
  }
  const found = new Map<string, (string | null)[]>()
  for (const [name, value] of Object.entries(received.headers)) {
    const headerEncoding = Object.hasOwn(encoding.headers ?? {}, name) ? 'base64' : undefined
    const values: readonly unknown[] = Array.isArray(value) ? value : [value]
    found.set(
      name,
      values.map((one) => decode(one, headerEncoding)),
    )
  }
  expect([...found].sort()).toEqual([...expected].sort())
}
