import { expect, test } from 'bun:test'
import { SharedReads, type SharedWork } from '../../src/http/response/shared-reads.ts'

/** Reads whose work a test ends, and the results that were released. */
function setUp() {
  const released: string[] = []
  const begun: Array<{ signal: AbortSignal; onWait: () => void; end: (result: string) => void }> =
    []
  const failures: Array<(error: Error) => void> = []
  const reads = new SharedReads<string>((result) => released.push(result))
  const work: SharedWork<string> = (signal, onWait) =>
    new Promise((resolve, reject) => {
      begun.push({ signal, onWait, end: resolve })
      failures.push(reject)
    })
  const ask = (signal = new AbortController().signal, key: string | undefined = 'page') =>
    reads.read(key, signal, work)
  return { reads, released, begun, failures, ask }
}

test('requests for one key at one time are one read, and its result is released after the last of them', async () => {
  const { reads, released, begun, ask } = setUp()
  const asked = Array.from({ length: 1_000 }, () => ask())
  expect(begun).toHaveLength(1)
  begun[0]?.end('records')
  const answers = await Promise.all(asked)
  expect(new Set(answers.map(({ result }) => result))).toEqual(new Set(['records']))
  for (const { read } of answers.slice(1)) read.leave()
  await Promise.resolve()
  expect(released).toEqual([])
  answers[0]?.read.leave()
  await Promise.resolve()
  expect(released).toEqual(['records'])
  expect(reads.size).toBe(0)
  void ask()
  expect(begun).toHaveLength(2)
})

test('a read goes on while one of its clients is there, and ends when all have left', async () => {
  const { begun, ask } = setUp()
  const first = new AbortController()
  const second = new AbortController()
  const asked = [ask(first.signal), ask(second.signal)]
  first.abort(new Error('gone'))
  await expect(asked[0] as Promise<unknown>).rejects.toThrow('gone')
  expect(begun[0]?.signal.aborted).toBe(false)
  second.abort(new Error('gone, too'))
  await expect(asked[1] as Promise<unknown>).rejects.toThrow('gone, too')
  expect(begun[0]?.signal.aborted).toBe(true)
})

test('a client that joins after the first one left gets the page', async () => {
  const { begun, failures, reads, ask } = setUp()
  const first = new AbortController()
  const left = ask(first.signal)
  first.abort(new Error('gone'))
  await expect(left).rejects.toThrow('gone')
  const reload = ask()
  // A read notices only later that all its clients have left.
  failures[0]?.(new Error('aborted'))
  expect(begun).toHaveLength(2)
  expect(reads.size).toBe(1)
  begun[1]?.end('records')
  expect((await reload).result).toBe('records')
})

test('clients that joined a read that begins to wait read by themselves', async () => {
  const { begun, ask } = setUp()
  const asked = [ask(), ask(), ask()]
  begun[0]?.onWait()
  await Promise.resolve()
  await new Promise((resolve) => setTimeout(resolve, 0))
  expect(begun).toHaveLength(3)
  for (const [index, { end }] of begun.entries()) end(`records ${index}`)
  const results = (await Promise.all(asked)).map(({ result }) => result)
  expect(results.sort()).toEqual(['records 0', 'records 1', 'records 2'])
})

test('an error reaches all clients of the read, and the next one reads again', async () => {
  const { begun, failures, ask } = setUp()
  const asked = [ask(), ask()]
  const told = asked.map((each) => each.catch((error: Error) => error.message))
  failures[0]?.(new Error('Kafka is away'))
  expect(await Promise.all(told)).toEqual(['Kafka is away', 'Kafka is away'])
  void ask()
  expect(begun).toHaveLength(2)
})

test('requests without a key share nothing', () => {
  const { reads } = setUp()
  let begun = 0
  const work: SharedWork<string> = () => {
    begun++
    return new Promise(() => {})
  }
  const { signal } = new AbortController()
  void reads.read(undefined, signal, work)
  void reads.read(undefined, signal, work)
  expect([begun, reads.size]).toEqual([2, 0])
})
