/** The waits of the package's client between its connections. */
import { expect, spyOn, test } from 'bun:test'
import { KafkaStreamError } from '../../src/client/index.ts'
import { Retries } from '../../src/client/retry.ts'

test.each<[string, number, readonly number[]]>([
  ['least', 0, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]],
  ['greatest', 0.999, [1_000, 1_999, 3_998, 7_996, 15_992, 29_985, 29_985]],
])(
  'delays grow while connections fail, up to 30 s, with the %s random share',
  async (_, random, expected) => {
    using _random = spyOn(Math, 'random').mockReturnValue(random)
    const retries = new Retries()
    const error = new KafkaStreamError('DISCONNECTED', 'cut', { retryable: true })
    const delays: number[] = []
    while (delays.length < expected.length) {
      const abort = new AbortController()
      const note = (_: Error, delay: number) => {
        delays.push(delay)
        abort.abort()
      }
      await retries.wait(error, { signal: abort.signal, onRetry: note }).catch(() => undefined)
    }
    expect(delays).toEqual([...expected])
  },
)
