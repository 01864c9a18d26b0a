import { describe, expect, test } from 'bun:test'
import { BodyOutlet } from '../../src/plugin/outlet.ts'
import { settle } from './fakes.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('a body that is written while it is read', () => {
  test('holds a write until it is asked for, and brings writes in order', async () => {
    const outlet = new BodyOutlet()
    const taken: string[] = []
    const writing = (async () => {
      for (const text of ['a', 'b', 'c']) {
        await outlet.write(bytes(text))
        taken.push(text)
      }
      outlet.close()
    })()
    await settle()
    expect(taken).toEqual([])
    const reader = outlet.body.getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('a')
    await settle()
    expect(taken).toEqual(['a'])
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('b')
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('c')
    expect((await reader.read()).done).toBe(true)
    await writing
  })

  test('takes at once what the runtime waits for', async () => {
    const outlet = new BodyOutlet()
    const reading = outlet.body.getReader().read()
    await settle()
    await outlet.write(bytes('now'))
    expect(new TextDecoder().decode((await reading).value)).toBe('now')
  })

  test('a reader that leaves is told of once, and what is written then goes nowhere', async () => {
    const outlet = new BodyOutlet()
    let aborts = 0
    outlet.onAbort(() => aborts++)
    const reader = outlet.body.getReader()
    const reading = reader.read()
    await settle()
    await reader.cancel()
    expect((await reading).done).toBe(true)
    expect(aborts).toBe(1)
    await outlet.write(bytes('late'))
    outlet.close()
  })

  test('ends a reader that waits when it is aborted', async () => {
    const outlet = new BodyOutlet()
    let aborts = 0
    outlet.onAbort(() => aborts++)
    const reading = outlet.body.getReader().read()
    outlet.abort()
    expect((await reading).done).toBe(true)
    expect(aborts).toBe(1)
  })
})
