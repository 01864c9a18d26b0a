/** Which consumers of ended catch-up reads the next one may have. */
import { describe, expect, spyOn, test } from 'bun:test'
import type { ClusterConnection } from '../../kafka/cluster/connection.ts'
import { ConsumerPool } from '../../kafka/cluster/consumer-pool.ts'
import { ConfluentAssignedConsumer } from '../../kafka/consumer/assigned-consumer.ts'
import { FakeConsumer, recordAt } from './fakes.ts'

/** A consumer that may be assigned again. */
class PooledConsumer extends FakeConsumer {
  isDisconnected = false
  /** Reads that began while set come back when a test lets them. */
  holdsReads = false
  isBroken = false
  readonly held: Array<() => void> = []

  unassign(): void {
    if (this.isBroken) throw new Error('broken')
    this.assigned.clear()
  }

  disconnect(done: () => void): void {
    this.isDisconnected = true
    done()
  }

  override consume(limit: number, done: (error: unknown, records: never[]) => void): void {
    if (this.holdsReads) this.held.push(() => super.consume(limit, done as never))
    else super.consume(limit, done as never)
  }
}

/** A pool of such consumers, all of which it has connected. */
class Pool {
  readonly connected: PooledConsumer[] = []
  readonly #pool: ConsumerPool

  constructor() {
    const connection = {
      isStopped: false,
      client: async () => undefined,
      connectConsumer: async () => {
        const consumer = new PooledConsumer()
        this.connected.push(consumer)
        return consumer
      },
    }
    this.#pool = new ConsumerPool(connection as unknown as ClusterConnection, false)
  }

  /** A read that begins at an offset. */
  async open(offset: number): Promise<ConfluentAssignedConsumer> {
    const consumer = await this.#pool.acquire('catch-up')
    return new ConfluentAssignedConsumer(consumer, [{ topic: 't', partition: 0, offset }], [], {
      release: (isHealthy) => this.#pool.release(consumer, isHealthy),
      explain: (error) => error,
    })
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}

/** Lets every wait of so many milliseconds end at once, as the first thing after a suspension of the process. */
function endAtOnce(limit: number): Disposable {
  const { setTimeout: real } = globalThis
  const timers = spyOn(globalThis, 'setTimeout').mockImplementation(((
    run: (...given: unknown[]) => void,
    milliseconds: number,
    ...given: unknown[]
  ) => real(run, milliseconds === limit ? 0 : milliseconds, ...given)) as never)
  return { [Symbol.dispose]: () => timers.mockRestore() }
}

describe('the next catch-up read', () => {
  test('has the consumer of one that has ended well', async () => {
    const pool = new Pool()
    const one = await pool.open(0)
    await one.read(10, 1)
    await one.close()
    const next = await pool.open(5)
    expect(pool.connected).toHaveLength(1)
    await next.close()
    await pool.close()
  })

  test('does not have the consumer of one that has stalled', async () => {
    const pool = new Pool()
    const one = await pool.open(0)
    await one.read(10, 1)
    await one.close(true)
    expect(pool.connected[0]?.isDisconnected).toBe(true)
    await pool.open(0)
    expect(pool.connected).toHaveLength(2)
  })

  test('does not have a consumer that cannot give its partitions up, which is disconnected', async () => {
    const pool = new Pool()
    const one = await pool.open(0)
    const [first] = pool.connected as [PooledConsumer]
    first.isBroken = true
    await one.close()
    expect(first.isDisconnected).toBe(true)
    await pool.open(0)
    expect(pool.connected).toHaveLength(2)
  })

  test('loses no record to a read of the former one that has not come back when that is closed', async () => {
    const pool = new Pool()
    const one = await pool.open(0)
    const [first] = pool.connected as [PooledConsumer]
    first.holdsReads = true
    const late = one.read(10, 1)
    {
      using _ = endAtOnce(5_000)
      await one.close()
    }
    first.holdsReads = false
    const next = await pool.open(100)
    const reading = pool.connected.at(-1) as PooledConsumer
    reading.queue.push(recordAt(0, 100), recordAt(0, 101))
    for (const comeBack of first.held) comeBack()
    await late
    const { records, gaps } = await next.read(10, 1)
    expect([records.map(({ offset }) => offset), gaps]).toEqual([[100, 101], []])
    await next.close()
    await pool.close()
  })
})
