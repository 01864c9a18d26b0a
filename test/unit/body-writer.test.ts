import { describe, expect, test } from 'bun:test'
import { BodyWriter } from '../../src/http/stream/body-writer.ts'
import { settle } from './fakes.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('a body that is written while it is read', () => {
  test('holds a write until the runtime pulls, and keeps the order of writes', async () => {
    const writer = new BodyWriter()
    const taken: string[] = []
    const writing = (async () => {
      for (const text of ['a', 'b', 'c']) {
        await writer.write(bytes(text))
        taken.push(text)
      }
      writer.close()
    })()
    await settle()
    expect(taken).toEqual([])
    const reader = writer.body.getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('a')
    await settle()
    expect(taken).toEqual(['a'])
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('b')
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('c')
    expect((await reader.read()).done).toBe(true)
    await writing
  })

  test('keeps the order of a write that its stream has abandoned and the last one', async () => {
    const writer = new BodyWriter()
    const first = writer.write(bytes('block'))
    void Promise.resolve(writer.write(bytes('end'))).then(() => writer.close())
    expect(await new Response(writer.body).text()).toBe('blockend')
    await first
  })

  test('accepts a write at once while the runtime waits for bytes', async () => {
    const writer = new BodyWriter()
    const reading = writer.body.getReader().read()
    await settle()
    await writer.write(bytes('now'))
    expect(new TextDecoder().decode((await reading).value)).toBe('now')
  })

  test('reports a reader that leaves once, and ignores later writes', async () => {
    const writer = new BodyWriter()
    let aborts = 0
    writer.onAbort(() => aborts++)
    const reader = writer.body.getReader()
    const reading = reader.read()
    await settle()
    await reader.cancel()
    expect((await reading).done).toBe(true)
    expect(aborts).toBe(1)
    await writer.write(bytes('late'))
    writer.close()
  })

  test('ends a waiting reader when it is aborted', async () => {
    const writer = new BodyWriter()
    let aborts = 0
    writer.onAbort(() => aborts++)
    const reading = writer.body.getReader().read()
    writer.abort()
    expect((await reading).done).toBe(true)
    expect(aborts).toBe(1)
  })
})
