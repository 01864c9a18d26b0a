import { describe, expect, test } from 'bun:test'
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { Compressors, codings } from '../../src/http/response/compress.ts'
import { until } from '../support/wait.ts'

const MIB = 1024 * 1024
const DECODE = {
  zstd: zstdDecompressSync,
  gzip: gunzipSync,
  br: brotliDecompressSync,
  deflate: inflateSync,
}

/** JSON that compresses to some fifth. */
function records(bytes: number): Uint8Array<ArrayBuffer> {
  let seed = 1
  const parts: string[] = []
  for (let length = 0; length < bytes; length += parts.at(-1)?.length ?? 0) {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    parts.push(JSON.stringify({ offset: parts.length, key: `k${seed}`, value: { amount: seed } }))
  }
  return new TextEncoder().encode(parts.join(',').slice(0, bytes))
}

const alive = new AbortController().signal

describe('compression of answers', () => {
  test.each([...codings()])('%s keeps every byte, of any number of pieces', async (coding) => {
    for (const length of [1, 64 * 1024, 64 * 1024 + 1, 3 * MIB + 7]) {
      const bytes = records(length)
      const compressed = await new Compressors().compress(bytes, coding, alive)
      expect(Buffer.from(bytes).equals(DECODE[coding](compressed ?? new Uint8Array()))).toBe(true)
    }
  })

  test('the coding that costs least time is preferred', () => {
    expect(codings()).toEqual(['zstd', 'gzip', 'br', 'deflate'])
  })

  // At brotli's best quality, which is the default of CompressionStream, this takes 30 s.
  test('the largest answer is compressed by brotli in the time of a request', async () => {
    const compressed = await new Compressors().compress(records(16 * MIB), 'br', alive)
    expect(compressed?.length).toBeLessThan(8 * MIB)
  }, 120_000)

  test('few compressions run at once, some more wait in turn, and answers beyond are not compressed', async () => {
    const compressors = new Compressors(2, 3)
    const ended: number[] = []
    const all = [0, 1, 2, 3, 4].map(async (n) => {
      const compressed = await compressors.compress(records(MIB), 'gzip', alive)
      expect(compressed).toBeDefined()
      ended.push(n)
    })
    expect([compressors.running, compressors.waiting]).toEqual([2, 3])
    expect(await compressors.compress(records(MIB), 'gzip', alive)).toBeUndefined()
    await Promise.all(all)
    expect(ended.toSorted()).toEqual([0, 1, 2, 3, 4])
    expect(ended.slice(0, 2).toSorted()).toEqual([0, 1])
    expect([compressors.running, compressors.waiting]).toEqual([0, 0])
    expect(await compressors.compress(records(MIB), 'gzip', alive)).toBeDefined()
  })

  test('a client that leaves ends its compression, while it runs or waits', async () => {
    const compressors = new Compressors(1, 1)
    const [running, waiting] = [new AbortController(), new AbortController()]
    const first = compressors.compress(records(16 * MIB), 'br', running.signal)
    const second = compressors.compress(records(MIB), 'br', waiting.signal)
    waiting.abort(new Error('left'))
    await expect(second).rejects.toThrow('left')
    expect([compressors.running, compressors.waiting]).toEqual([1, 0])
    running.abort(new Error('left, too'))
    await expect(first).rejects.toThrow('left, too')
    await until(() => compressors.running === 0, 'the place to be free')
    await expect(compressors.compress(records(MIB), 'br', running.signal)).rejects.toThrow('left')
    expect([compressors.running, compressors.waiting]).toEqual([0, 0])
  })
})
