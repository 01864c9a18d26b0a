/** Requests that come while the consumers of ended reads are being closed. */
import { expect, test } from 'bun:test'
import { CatchUpPool } from '../../src/feed/catch-up-pool.ts'
import { ScriptedReader, SourceOf, settle } from './fakes.ts'

/** A consumer that takes its time to close. */
class SlowReader extends ScriptedReader {
  readonly closing = Promise.withResolvers<void>()

  override async close(): Promise<void> {
    await this.closing.promise
    await super.close()
  }
}

test('a request waits for the place of a read that has ended, and no more requests than places', async () => {
  const source = new SourceOf(SlowReader)
  const pool = new CatchUpPool(source, 1)
  const ended = await pool.open([], false)
  const closed = ended.close()
  const next = pool.open([], false)
  await settle()
  expect(source.readers).toHaveLength(1)
  await expect(pool.open([], false)).rejects.toThrow('1 clients do so already')
  source.readers[0]?.closing.resolve()
  await closed
  const opened = await next
  expect(source.readers).toHaveLength(2)
  expect(pool.count).toBe(1)
  await expect(pool.open([], false)).rejects.toThrow('1 clients do so already')
  source.readers[1]?.closing.resolve()
  await opened.close()
  expect(pool.count).toBe(0)
})

test('a request that waits for the place of a read that has ended may leave', async () => {
  const source = new SourceOf(SlowReader)
  const pool = new CatchUpPool(source, 1)
  const closed = (await pool.open([], false)).close()
  const leaving = new AbortController()
  const next = pool.open([], false, leaving.signal)
  leaving.abort(new Error('left'))
  await expect(next).rejects.toThrow('left')
  source.readers[0]?.closing.resolve()
  await closed
  expect(pool.count).toBe(0)
  expect(pool.waiting).toBe(0)
})
