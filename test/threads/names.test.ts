/** The names by which the threads of an app share limits of its routes. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { run } from '../support/run-program.ts'

interface Names {
  readonly limits: readonly string[]
  readonly places: readonly string[]
}

async function namesOfThread(first: number): Promise<Names> {
  const program = join(import.meta.dirname, 'print-names.ts')
  return JSON.parse(await run([process.execPath, program, String(first)], import.meta.dirname))
}

test('name one route in all threads, whichever is asked first, and hold no secret of its options', async () => {
  const [one, other] = await Promise.all([namesOfThread(0), namesOfThread(1)])
  expect(other).toEqual(one)
  const all = [...one.limits, ...one.places]
  expect(new Set(all).size).toBe(6)
  expect(all.filter((name) => /password|localhost|ann/.test(name))).toEqual([])
})
