/**
 * The index that finds the filtered subscribers of a record, beside evaluating each filter. The file
 * has more than 400 lines because all of its tests share random records and filters.
 */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { filterTurns } from '../../src/core/turn-queue.ts'
import { CatchUpPool } from '../../src/feed/catch-up-pool.ts'
import { FilterGroup } from '../../src/feed/filter-group.ts'
import type { IndexedRead } from '../../src/feed/indexed-read.ts'
import { LiveConsumer } from '../../src/feed/live-consumer.ts'
import { Subscription } from '../../src/feed/subscription.ts'
import type { Gap, KafkaRecord } from '../../src/port/kafka.ts'
import { Cursor, PartitionTable, parseCursor } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import {
  type Filter,
  filterFor,
  type RecordFilter,
  type RequestedFilters,
} from '../../src/records/filter.ts'
import { until, within } from '../support/wait.ts'
import { ScriptedSource, settle } from './fakes.ts'

const table = new PartitionTable([
  { topic: 'a', partition: 0 },
  { topic: 'a', partition: 1 },
  { topic: 'b', partition: 0 },
])
const encoder = new TextEncoder()

/** Numbers, texts and other scalars that are alike without being equal, as JSON. */
const json = fc.constantFrom(
  '1',
  '1.0',
  '1e0',
  '-1',
  '0',
  '-0',
  '1.5',
  '9007199254740992',
  '9007199254740993',
  '1e300',
  '9.007199254740993024e18',
  '"1"',
  '"1.0"',
  '"true"',
  '"null"',
  '""',
  '"żółw"',
  '"\\u017cółw"',
  '"a\\"b"',
  'true',
  'false',
  'null',
  '[1]',
  '{}',
  '{"b":1}',
  '{"b":{"c":"x"}}',
  '{"constructor":1}',
)
const value = fc.oneof(
  fc.constantFrom(null, 'text', '', '1', '"x"', '[1,2]', '{"a":1', 'true'),
  fc.tuple(json, json, json).map(([a, b, c]) => `{"a":${a},"b":{"c":${b}},"x y":${c}}`),
  fc.tuple(json, json).map(([a, last]) => `{"a":${a},"a":${last},"constructor":${last}}`),
)
const key = fc.constantFrom(null, '', '1', 'k', 'a"b', 'żółw', '\u0000', '\ufeffk', '{"a":1}', 'ÿ')
const header = fc.record({
  name: fc.constantFrom('h', 'H', 'x y', 'constructor', '__proto__'),
  text: fc.constantFrom(null, '', '1', 'x', 'żółw'),
})
const anyRecord = fc.record({
  place: fc.nat(2),
  key,
  value,
  headers: fc.array(header, { maxLength: 3 }),
  skips: fc.constantFrom(0, 0, 0, 1, 3),
})
type AnyRecord = typeof anyRecord extends fc.Arbitrary<infer T> ? T : never

function bytesOf(text: string | null): Uint8Array | null {
  if (text === null) return null
  // Not UTF-8, so that clients are shown its base64.
  return text === 'ÿ' ? new Uint8Array([0xff, 0x00]) : encoder.encode(text)
}

/** Records at the next offsets of their partitions, which the vector is moved to. */
function recordsFrom(records: readonly AnyRecord[], next: Float64Array): KafkaRecord[] {
  return records.map(({ place, key, value, headers, skips }) => {
    const { topic, partition } = table.partitions[place] as (typeof table.partitions)[number]
    const offset = (next[place] as number) + skips
    next[place] = offset + 1
    return {
      topic,
      partition,
      offset,
      timestamp: 1_700_000_000_000 + offset,
      key: bytesOf(key),
      value: bytesOf(value),
      headers: headers.map(({ name, text }) => {
        return Object.defineProperty({}, name, { value: bytesOf(text), enumerable: true })
      }),
    }
  })
}

const property = fc.constantFrom(
  'value.a',
  'value["a"]',
  "value['a']",
  'value.b.c',
  'value["x y"]',
  'value.constructor',
  'value',
  'key',
  'key.a',
  'headers.h',
  'headers["x y"]',
  'headers.constructor',
  'topic',
  'partition',
  'offset',
  'value.a.b',
  'value.missing',
)
const constant = fc.constantFrom(
  '1',
  '1.0',
  '-1',
  '-1.0',
  '0',
  '1u',
  '1.5',
  '9007199254740993',
  '9007199254740992.0',
  '1e300',
  '9007199254740993024',
  '"1"',
  '"k"',
  '"x"',
  '""',
  '"a"',
  '"żółw"',
  '"\\u017cółw"',
  "'a\"b'",
  'true',
  'false',
  'null',
  '[1]',
)
const equality = fc.oneof(
  fc.tuple(property, constant).map(([left, right]) => `${left} == ${right}`),
  fc.tuple(constant, property).map(([left, right]) => `${left}==${right}`),
  fc
    .tuple(property, fc.array(constant, { minLength: 1, maxLength: 3 }))
    .map(([left, list]) => `${left} in [${list}]`),
)
const other = fc.constantFrom(
  'value.a != 1',
  'has(value.b)',
  'key != null',
  'offset % 2 == 0',
  'value.contains("1")',
  'partition < 1',
  'true',
  'value.a > 0',
)
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3 },
    { weight: 5, arbitrary: equality },
    { weight: 2, arbitrary: other },
    { weight: 4, arbitrary: both(tie('expression'), '&&') },
    { weight: 1, arbitrary: both(tie('expression'), '||') },
    { weight: 1, arbitrary: tie('expression').map((inner) => `!(${inner})`) },
  ),
}))

function both(inner: fc.Arbitrary<string>, operator: string): fc.Arbitrary<string> {
  return fc.tuple(inner, inner).map(([left, right]) => `(${left}) ${operator} (${right})`)
}

const wanted: fc.Arbitrary<RequestedFilters> = fc.record({
  topics: fc.constantFrom([], [], ['a'], ['b'], ['a', 'b']),
  partitions: fc.constantFrom([], [], [0]),
  keys: fc.oneof(
    fc.constant([]),
    fc.array(fc.constantFrom('', '1', 'k', 'a"b', 'żółw', '\u0000', 'null', '{"a":1}', '/wA='), {
      maxLength: 2,
    }),
  ),
  filters: fc.oneof(fc.constant([]), fc.array(expression, { maxLength: 2 })),
})

/** The filter of a request; undefined for one that is refused, such as for its types, or has none. */
function filterOf(request: RequestedFilters): RecordFilter | undefined {
  try {
    return filterFor(request, table)
  } catch {
    return undefined
  }
}

describe('the equality by which a filter is found', () => {
  test('holds for each record that passes, whatever the types of its values', () => {
    let [passed, unfound] = [0, 0]
    const check = (filter: RecordFilter, batch: EncodedBatch, index: number) => {
      const { id, anchor, isExact } = filter.plan
      const text = anchor?.property.textOf(batch, index)
      const isFound = !anchor || (text !== undefined && anchor.values.includes(text))
      const passes = filter.matches(batch, index)
      if (passes) expect([id, index, isFound]).toEqual([id, index, true])
      if (isExact) expect(passes).toBe(isFound)
      if (passes && anchor) passed++
      if (!isFound) unfound++
    }
    const records = fc.array(anyRecord, { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(wanted, wanted, records, (one, two, anyRecords) => {
        const filters = [filterOf(one), filterOf(two)].filter((each) => each !== undefined)
        const [first, second] = filters
        if (first && second) filters.push(first.and(second))
        const next = new Float64Array(table.size)
        const cursor = new Cursor(table, next)
        const batch = EncodedBatch.encode(recordsFrom(anyRecords, next), cursor, 'noop')
        for (const filter of filters) {
          for (let index = 0; index < batch.length; index++) check(filter, batch, index)
        }
      }),
      { numRuns: 3_000 },
    )
    // Otherwise nothing of what this is about has been seen.
    expect(passed).toBeGreaterThan(100)
    expect(unfound).toBeGreaterThan(1_000)
  })

  test.each([
    ['value.country == "SE" && value.total > 100', 'value.country', ['"SE']],
    ['value.total > 100 && "SE" == value["country"]', 'value.country', ['"SE']],
    ['(key == "a")', 'key', ['"a']],
    ['headers.x in ["a", "b"] && true', 'headers.x', ['"a', '"b']],
    ['value.n == -1.0', 'value.n', ['=-1']],
    ['value.n == null', 'value.n', ['null']],
  ])('of %s is that of %s', (text, path, values) => {
    const { anchor } = (filterOf(requestOf({ filters: [text] })) as RecordFilter).plan
    expect(anchor?.property.id).toBe(JSON.stringify(path.split('.')))
    expect(anchor?.values).toEqual(values)
  })

  test.each([
    'value.a == 1 || value.b == 2',
    '!(value.a == 1)',
    'value.a == value.b',
    'value.list[0] == 1',
    'value.a == 1 ? true : false',
    'value.items.exists(i, i == 1)',
    'value.a in [1, value.b]',
  ])('does not exist where %s is true in another way, too', (text) => {
    expect(filterOf(requestOf({ filters: [text] }))?.plan.anchor).toBeUndefined()
  })

  test.each([
    ['9.007199254740993024e18', '9007199254740993024'],
    ['9007199254740993', '9007199254740993'],
    ['-0', '0'],
    ['1e2', '100'],
    ['1e300', '1e300'],
  ])('finds the number %s of a record by %s', (number, literal) => {
    const filter = filterOf(requestOf({ filters: [`value.a == ${literal}`] })) as RecordFilter
    const value = `{"a":${number}}`
    const next = new Float64Array(table.size)
    const cursor = new Cursor(table, next)
    const records = recordsFrom([{ place: 0, key: null, value, headers: [], skips: 0 }], next)
    const batch = EncodedBatch.encode(records, cursor, 'noop')
    expect(filter.matches(batch, 0)).toBe(true)
    expect(filter.plan.anchor?.property.textOf(batch, 0)).toBe(
      filter.plan.anchor?.values[0] as string,
    )
  })

  test('is shared by filters that differ in spaces, quotes, parentheses and order only', () => {
    const id = (filters: string[], keys: string[] = []) =>
      filterOf(requestOf({ filters, keys }))?.plan.id
    expect(id(['value.a=="x"', 'offset > 1'])).toBe(
      id(["(value.a) == 'x'", 'value.a == "x"', 'offset>1']),
    )
    expect(id([], ['b', 'a'])).toBe(id([], ['a', 'b', 'a']))
    for (const other of [
      'value.a == 1.0',
      'value.a == "1"',
      'value.a == 1u',
      'value.a == 1.0000001',
    ]) {
      expect(id(['value.a == 1'])).not.toBe(id([other]))
    }
    expect(id(['value.a == 1e-12'])).not.toBe(id(['value.a == 1e-13']))
  })
})

function requestOf(request: Partial<RequestedFilters>): RequestedFilters {
  return { topics: [], partitions: [], keys: [], filters: [], ...request }
}

/** A live consumer that is fed by hand, and filtered streams of it. */
class Scene implements AsyncDisposable {
  readonly source = new ScriptedSource()
  readonly liveConsumer: LiveConsumer
  readonly pool: CatchUpPool
  readonly next = new Float64Array(table.size)
  /** All records so far, in the order of the live consumer. */
  readonly records: KafkaRecord[] = []
  readonly #open: Subscription[] = []

  private constructor(ringBytes: number) {
    this.liveConsumer = new LiveConsumer({
      cluster: this.source,
      table,
      head: this.next,
      deserializer: 'noop',
      ringBytes,
    })
    this.pool = new CatchUpPool(this.source, 1)
  }

  static async start(ringBytes = 1e8): Promise<Scene> {
    const scene = new Scene(ringBytes)
    await scene.liveConsumer.start()
    return scene
  }

  get index() {
    return this.liveConsumer.filterIndex
  }

  /** Feeds one batch of records at the next offsets. */
  async feed(anyRecords: readonly AnyRecord[], gaps: readonly Gap[] = []): Promise<void> {
    const records = recordsFrom(anyRecords, this.next)
    this.records.push(...records)
    const [consumer] = this.source.opened
    consumer?.answer({ records, gaps })
    await until(() => consumer?.unread === 0, 'the batch to be read')
    await settle()
  }

  stream(filter: Filter | undefined, vector: Float64Array, onRecords = () => {}): Subscription {
    const subscription = new Subscription({
      liveConsumer: this.liveConsumer,
      catchUpPool: this.pool,
      vector,
      isCertain: true,
      deserializer: 'noop',
      filter: () => filter,
      onClose: () => {},
    })
    subscription.listen({ onRecords })
    this.#open.push(subscription)
    return subscription
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const subscription of this.#open) await subscription.close()
    const stopped = this.liveConsumer.stop()
    this.source.opened[0]?.answer({})
    await within(stopped, 'the live consumer to stop')
  }
}

/** A client that resumes where its last frame or heartbeat said. */
class Client {
  readonly taken: string[] = []
  readonly filter: RecordFilter
  readonly #scene: Scene
  #subscription: Subscription
  /** The last position that the client was sent. */
  #position: Float64Array

  constructor(scene: Scene, filter: RecordFilter) {
    this.#scene = scene
    this.filter = filter
    this.#position = scene.next.slice()
    this.#subscription = scene.stream(filter, this.#position)
    this.take(Infinity)
  }

  /** Takes so many parts at most, as a stream that is woken does. */
  take(parts: number, records = Infinity): void {
    for (let i = 0; i < parts; i++) {
      const part = this.#subscription.take({ records, bytes: Infinity })
      if (!part || 'gap' in part) return
      for (let at = part.begin; at < part.end; at++) {
        const { topic, partition } = part.batch.partitionOf(at)
        this.taken.push(`${topic}:${partition}/${part.batch.offsets[at]}`)
      }
      this.#position = vectorOf(part.batch.id(part.end - 1))
    }
  }

  heartbeat(): void {
    if (!this.#subscription.hasGaps) this.#position = vectorOf(this.#subscription.cursor.toString())
  }

  /** Goes away and comes back, perhaps by a catch-up read in which Kafka has all records. */
  async reconnect(): Promise<void> {
    await this.#subscription.close()
    this.#subscription = this.#scene.stream(this.filter, this.#position)
    this.take(Infinity)
  }

  pause(): void {
    this.#subscription.pause()
  }

  /** Takes until so many records have come in all. */
  async untilTaken(count: number): Promise<void> {
    await until(
      async () => {
        await this.#subscription.fill(Infinity)
        this.take(Infinity)
        return this.taken.length >= count
      },
      () => `${count} records: ${this.taken.length} came`,
    )
  }
}

function vectorOf(cursor: string): Float64Array {
  return table.vector(
    parseCursor(cursor, 'id') as Array<{ topic: string; partition: number; offset: number }>,
  )
}

/** Names of the records that pass, each evaluated by itself. */
function passing(records: readonly KafkaRecord[], filter: Filter): string[] {
  const batch = EncodedBatch.encode(
    records,
    new Cursor(table, new Float64Array(table.size)),
    'noop',
  )
  return records.flatMap(({ topic, partition, offset }, index) =>
    filter.matches(batch, index) ? [`${topic}:${partition}/${offset}`] : [],
  )
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('feed'),
      records: fc.array(anyRecord, { minLength: 1, maxLength: 8 }),
      /** Whether the turn of filters is over when the batch comes. */
      isLate: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('take', 'heartbeat', 'reconnect', 'pause'),
      at: fc.nat(),
      parts: fc.integer({ min: 1, max: 3 }),
      records: fc.constantFrom(1, 2, Infinity),
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

async function act(scene: Scene, clients: readonly Client[], each: Step): Promise<void> {
  if ('isLate' in each) {
    if (each.isLate) filterTurns.count(Infinity)
    return scene.feed(each.records)
  }
  const client = clients[each.at % clients.length] as Client
  if (each.do === 'take') client.take(each.parts, each.records)
  else if (each.do === 'heartbeat') client.heartbeat()
  else if (each.do === 'pause') client.pause()
  else await client.reconnect()
}

describe('indexed delivery', () => {
  test('is that of evaluating each filter for each record, and loses and doubles nothing under reconnects', async () => {
    let [indexed, delivered] = [0, 0]
    const requests = fc.array(wanted, { minLength: 1, maxLength: 8 })
    const steps = fc.array(step, { minLength: 3, maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(requests, steps, async (all, taken) => {
        await using scene = await Scene.start()
        const filters = all.map(filterOf).filter((filter) => filter !== undefined)
        // Two clients have each filter.
        const clients = [...filters, ...filters].map((filter) => new Client(scene, filter))
        if (clients.length === 0) return
        indexed = Math.max(indexed, scene.index.readers)
        for (const each of taken) await act(scene, clients, each)
        for (const client of clients) {
          const expected = passing(scene.records, client.filter)
          await client.untilTaken(expected.length)
          await settle()
          client.take(Infinity)
          expect(client.taken).toEqual(expected)
          delivered += expected.length
        }
      }),
      { numRuns: 150 },
    )
    expect(indexed).toBeGreaterThan(4)
    expect(delivered).toBeGreaterThan(1_000)
  }, 120_000)

  const K = requestOf({ keys: ['k'] })
  const OTHER: AnyRecord = { place: 0, key: '1', value: null, headers: [], skips: 0 }
  const WANTED: AnyRecord = { ...OTHER, key: 'k' }

  test('wakes a subscriber once for a batch with records for it, and not for others', async () => {
    await using scene = await Scene.start()
    let woken = 0
    const stream = scene.stream(filterOf(K), scene.next.slice(), () => woken++)
    stream.take({ records: Infinity, bytes: Infinity })
    expect(scene.index.readers).toBe(1)
    for (let i = 0; i < 5; i++) await scene.feed([OTHER, OTHER])
    expect(woken).toBe(0)
    expect(stream.cursor.toString()).toBe('a:0=10,1=0;b:0=0')
    await scene.feed([WANTED, OTHER, WANTED])
    expect(woken).toBe(1)
  })

  test('sends subscribers the bytes of the batch, the same for all with one filter', async () => {
    await using scene = await Scene.start()
    const streams = [1, 2].map(() => scene.stream(filterOf(K), scene.next.slice()))
    const take = () =>
      streams.map((stream) => {
        const part = stream.take({ records: Infinity, bytes: Infinity })
        return part && 'batch' in part ? part.batch.events(part.begin, part.end) : undefined
      })
    take()
    await scene.feed([OTHER, WANTED, OTHER, WANTED])
    const [one, two] = take()
    expect(one?.length).toBeGreaterThan(0)
    expect(one).toBe(two as Uint8Array)
    await scene.feed([OTHER, WANTED, WANTED, OTHER])
    const batch = scene.liveConsumer.ring.batch(1) as EncodedBatch
    for (const neighbours of take()) expect(neighbours?.buffer).toBe(batch.bytes.buffer)
  })

  test('evaluates an expression once for each record, however many subscribers have it', async () => {
    await using scene = await Scene.start()
    let evaluated = 0
    const filter: Filter = {
      matches: () => {
        evaluated++
        return true
      },
      plan: { id: 'all', anchor: undefined, isExact: false },
    }
    const streams = Array.from({ length: 50 }, () => scene.stream(filter, scene.next.slice()))
    for (const stream of streams) stream.take({ records: Infinity, bytes: Infinity })
    await scene.feed([OTHER, OTHER, OTHER])
    await until(() => evaluated === 3, 'three evaluations')
    for (const stream of streams) {
      const part = stream.take({ records: Infinity, bytes: Infinity })
      expect(part && 'batch' in part && part.end - part.begin).toBe(3)
    }
    expect(evaluated).toBe(3)
  })

  test('has the event loop go on between slices, so that no set of filters holds it up', async () => {
    await using scene = await Scene.start()
    let turns = 0
    let longest = 0
    let inTurn = 0
    let counting = true
    const nextTurn = () => {
      turns++
      longest = Math.max(longest, inTurn)
      inTurn = 0
      if (counting) setImmediate(nextTurn)
    }
    setImmediate(nextTurn)
    let left = 40 * 20
    const streams = Array.from({ length: 40 }, (_, number) =>
      scene.stream(
        {
          matches: () => {
            filterTurns.count(Infinity)
            inTurn++
            left--
            return false
          },
          plan: { id: `${number}`, anchor: undefined, isExact: false },
        },
        scene.next.slice(),
      ),
    )
    for (const stream of streams) stream.take({ records: Infinity, bytes: Infinity })
    await scene.feed(Array.from({ length: 20 }, () => OTHER))
    await until(() => left === 0, 'all evaluations')
    counting = false
    // Each evaluation uses up a turn, and the time is asked after 16 records at the latest.
    expect(turns).toBeGreaterThanOrEqual((40 * 20) / 16)
    expect(longest).toBeLessThanOrEqual(2 * 16)
  })

  test('gives a subscriber no record from before its position, although the index is still at it', async () => {
    await using scene = await Scene.start()
    const filter = filterOf(requestOf({ filters: ['key.startsWith("k")'] }))
    const take = (stream: Subscription) => stream.take({ records: Infinity, bytes: Infinity })
    const early = scene.stream(filter, scene.next.slice())
    take(early)
    const { ring } = scene.liveConsumer
    // Within one turn of the event loop, whose time for filters is over.
    const late = new Promise<Subscription>((resolve) => {
      const append = ring.append.bind(ring)
      ring.append = (batch) => {
        append(batch)
        filterTurns.count(Infinity)
        queueMicrotask(() => {
          const stream = scene.stream(filter, batch.to)
          take(stream)
          resolve(stream)
        })
      }
    })
    await scene.feed([WANTED])
    const stream = await late
    expect(scene.index.readers).toBe(2)
    await until(() => take(early) !== undefined, 'the record')
    expect(take(stream)).toBeUndefined()
    expect(stream.cursor.toString()).toBe('a:0=1,1=0;b:0=0')
  })

  test('announces a gap to each subscriber before the records that follow it, and goes on by the index', async () => {
    await using scene = await Scene.start()
    const stream = scene.stream(filterOf(K), scene.next.slice())
    const take = () => stream.take({ records: Infinity, bytes: Infinity })
    take()
    await scene.feed([OTHER])
    const gap: Gap = { topic: 'a', partition: 0, from: 1, to: 5, reason: 'retention' }
    scene.next[0] = 5
    await scene.feed([WANTED], [gap])
    expect(take()).toEqual({ gap, cursor: 'a:0=5,1=0;b:0=0' })
    const part = take()
    expect(part && 'batch' in part && part.batch.id(part.begin)).toBe('a:0=6,1=0;b:0=0')
    expect(take()).toBeUndefined()
    expect(scene.index.readers).toBe(1)
  })

  test('goes on with the next live consumer after a handover, from the position that the index had', async () => {
    await using scene = await Scene.start()
    const stream = scene.stream(filterOf(K), scene.next.slice())
    const take = () => stream.take({ records: Infinity, bytes: Infinity })
    take()
    await scene.feed([OTHER, WANTED, OTHER])
    take()
    await scene.feed([OTHER])
    const former = scene.liveConsumer
    const stopped = former.stop()
    scene.source.opened[0]?.answer({})
    await stopped
    const next = new LiveConsumer({
      cluster: scene.source,
      table,
      head: former.head,
      deserializer: 'noop',
      ringBytes: 1e8,
    })
    await next.start()
    former.handOverTo({ liveConsumer: next, recreated: [], entered: new Set() })
    expect(former.filterIndex.readers).toBe(0)
    expect(await stream.fill(Infinity)).toBe(false)
    expect(next.filterIndex.readers).toBe(1)
    expect(stream.cursor.toString()).toBe('a:0=4,1=0;b:0=0')
    scene.source.last.answer({ records: recordsFrom([OTHER, WANTED], scene.next) })
    await until(() => !stream.isAtEnd, 'the record')
    const part = take()
    expect(part && 'batch' in part && part.batch.id(part.begin)).toBe('a:0=6,1=0;b:0=0')
    await next.stop()
  })

  describe('limits', () => {
    test('a filter for which the index has no room is evaluated by its subscriber, and loses nothing', async () => {
      await using scene = await Scene.start()
      const wide = Array.from({ length: 3 }, (_, number) => {
        const keys = [`${number}`.repeat(3_000_000), 'k']
        return scene.stream(filterOf(requestOf({ keys })), scene.next.slice())
      })
      const take = (stream: Subscription) => stream.take({ records: Infinity, bytes: Infinity })
      for (const stream of wide) take(stream)
      // Each takes 12 MB, and all of them may take 16 MiB.
      expect(scene.index.readers).toBe(1)
      await scene.feed([OTHER, WANTED])
      for (const stream of wide) {
        const part = take(stream)
        expect(part && 'batch' in part && part.batch.offsets[part.begin]).toBe(1)
      }
      await (wide[0] as Subscription).close()
      expect(scene.index.filters).toBe(0)
      for (const stream of wide.slice(1)) take(stream)
      expect(scene.index.readers).toBe(1)
    })

    test('a subscriber that takes nothing leaves the index with 64 batches untaken, and loses nothing', async () => {
      await using scene = await Scene.start()
      const client = new Client(scene, filterOf(K) as RecordFilter)
      for (let i = 0; i < 64; i++) await scene.feed([WANTED])
      expect(scene.index.readers).toBe(1)
      await scene.feed([WANTED])
      expect(scene.index.readers).toBe(0)
      await scene.feed([OTHER, WANTED])
      client.take(Infinity)
      expect(client.taken).toEqual(passing(scene.records, client.filter))
      expect(scene.index.readers).toBe(1)
    })

    test('subscribers leave the index when 256 batches wait for their filter', async () => {
      const filter = filterOf(requestOf({ filters: ['key.startsWith("k")'] })) as RecordFilter
      const group = new FilterGroup(filter, filter.plan)
      let released = 0
      const member = { release: () => released++, add: () => {} } as unknown as IndexedRead
      group.join(member)
      const cursor = new Cursor(table, new Float64Array(table.size))
      const batch = EncodedBatch.encode(
        recordsFrom([WANTED], cursor.vector.slice()),
        cursor,
        'noop',
      )
      // The turn stays over until the event loop goes on.
      filterTurns.count(Infinity)
      for (let sequence = 0; sequence < 256; sequence++) group.examine({ sequence, batch }, [0])
      expect([released, group.waitingFrom(10)?.sequence]).toEqual([0, 10])
      group.examine({ sequence: 256, batch }, [0])
      expect(released).toBe(1)
      group.leave(member)
      expect(group.waitingFrom(0)).toBeUndefined()
    })

    test('a filter that its last subscriber leaves takes no memory in the index', async () => {
      await using scene = await Scene.start()
      const requests = [K, requestOf({ filters: ['value.a == 1'] }), requestOf({ partitions: [1] })]
      const streams = requests.map((each) => scene.stream(filterOf(each), scene.next.slice()))
      for (const stream of streams) stream.take({ records: Infinity, bytes: Infinity })
      expect(scene.index.filters).toBe(3)
      await scene.feed([WANTED])
      for (const stream of streams) await stream.close()
      expect([scene.index.filters, scene.index.readers]).toEqual([0, 0])
    })
  })
})
