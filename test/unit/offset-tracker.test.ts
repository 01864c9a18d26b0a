import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type OffsetRange, OffsetTracker } from '../../kafka/group/partitions.ts'

/** All of a list of offsets. */
function rangeOf(offsets: readonly number[]): OffsetRange {
  return { offsets, begin: 0, end: offsets.length }
}

const step = fc.record({
  kind: fc.constantFrom(
    'take',
    'skip',
    'miss up to the end',
    'miss before a record',
    'tell',
    'settle',
    'settle a run',
    'settle a part of a run',
    'requeue',
    'commit',
    'failing commit',
  ),
  pick: fc.nat(),
  count: fc.integer({ min: 1, max: 4 }),
  hole: fc.nat(2),
})
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** A tracker beside a model: what is out, what came back, what is done and what Kafka has committed. */
class TrackerModel {
  readonly #tracker: OffsetTracker
  readonly #begin: number
  #next: number
  #committed: number
  #told: number
  readonly #out: number[] = []
  readonly #back: number[] = []
  readonly #done: number[] = []
  readonly #runs: number[][] = []
  readonly #untold: Array<{ from: number; to: number }> = []

  /** @param missed Offsets that were deleted before the first read. */
  constructor(begin: number, missed: number) {
    this.#tracker = new OffsetTracker(begin)
    this.#begin = begin - missed
    this.#next = begin
    this.#committed = begin
    this.#told = this.#begin
    if (missed > 0) this.#miss(this.#begin, begin)
  }

  apply({ kind, pick, count, hole }: Step): void {
    switch (kind) {
      case 'take':
        this.#take(count, hole)
        break
      case 'skip':
        this.#skip(count)
        break
      case 'miss up to the end':
        this.#miss(this.#next, this.#next + count)
        this.#skip(count)
        break
      case 'miss before a record':
        if (this.#back.length > 0) break
        this.#miss(this.#next, this.#next + count)
        this.#take(1, count)
        break
      case 'tell':
        for (const gap of this.#untold.splice(0)) this.#tracker.markTold(gap)
        break
      case 'settle':
        this.#settle(pick)
        break
      case 'settle a run':
        this.#settleRun(pick)
        break
      case 'settle a part of a run':
        this.#settlePart(pick, count)
        break
      case 'requeue':
        this.#requeue(pick)
        break
      default:
        this.#commit(kind === 'commit')
    }
  }

  checkUncertain(): void {
    const uncertain = this.#done.filter((offset) => offset >= this.#committed)
    expect(this.#tracker.uncertain).toBe(uncertain.length)
  }

  #take(count: number, hole: number): void {
    const run: number[] = []
    for (let i = 0; i < count; i++) {
      // Requeued records are delivered first, since they lie before new ones.
      const offset = this.#back.shift() ?? this.#next + hole
      this.#next = Math.max(this.#next, offset + 1)
      run.push(offset)
    }
    this.#out.push(...run)
    this.#runs.push(run)
    this.#tracker.track(rangeOf(run))
  }

  #skip(count: number): void {
    this.#tracker.skip(this.#next, this.#next + count)
    this.#next += count
  }

  #miss(from: number, to: number): void {
    this.#untold.push({ from, to })
    this.#tracker.miss({ topic: 't', partition: 0, from, to, reason: 'retention' })
  }

  #settle(pick: number): void {
    const offset = this.#pickOut(pick)
    if (offset === undefined) return
    this.#tracker.markDelivered(rangeOf([offset]))
    this.#done.push(offset)
  }

  #settleRun(pick: number): void {
    const [run] = this.#runs.splice(pick % Math.max(1, this.#runs.length), 1)
    if (!run?.every((offset) => this.#out.includes(offset))) return
    for (const offset of run) this.#out.splice(this.#out.indexOf(offset), 1)
    this.#tracker.markDelivered(rangeOf(run))
    this.#done.push(...run)
  }

  #settlePart(pick: number, count: number): void {
    const offsets = this.#runs[pick % Math.max(1, this.#runs.length)] ?? []
    const begin = pick % Math.max(1, offsets.length)
    const part = offsets.slice(begin, begin + count)
    if (!part.every((offset) => this.#out.includes(offset))) return
    for (const offset of part) this.#out.splice(this.#out.indexOf(offset), 1)
    this.#tracker.markDelivered({ offsets, begin, end: begin + part.length })
    this.#done.push(...part)
  }

  #requeue(pick: number): void {
    const offset = this.#pickOut(pick)
    if (offset === undefined) return
    this.#back.push(offset)
    this.#back.sort((a, b) => a - b)
  }

  #pickOut(pick: number): number | undefined {
    return this.#out.splice(pick % Math.max(1, this.#out.length), 1)[0]
  }

  #commit(succeeds: boolean): void {
    const delivered = Math.min(this.#next, ...this.#out, ...this.#back)
    const expected = Math.min(delivered, this.#untold[0]?.from ?? delivered)
    const claim = this.#tracker.committable()
    // An offset is returned once, and only when it moved.
    expect(claim?.offset).toBe(expected > this.#told ? expected : undefined)
    if (!claim) return
    if (succeeds) {
      this.#tracker.committed(claim)
      this.#told = this.#committed = expected
    } else {
      this.#tracker.uncommitted()
      this.#told = this.#begin
    }
  }
}

describe('the offset tracker', () => {
  test('a commit never passes an undelivered record or a gap that nobody was told of, whatever the order of acks and requeues', () => {
    const begin = fc.integer({ min: 5, max: 1_000 })
    fc.assert(
      fc.property(begin, fc.nat(4), fc.array(step, { maxLength: 80 }), (begin, missed, steps) => {
        const model = new TrackerModel(begin, missed)
        for (const each of steps) {
          model.apply(each)
          model.checkUncertain()
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a hole in the offsets does not hold up commits', () => {
    const tracker = new OffsetTracker(3)
    for (const offset of [3, 7, 8]) tracker.track(rangeOf([offset]))
    for (const offset of [3, 7]) tracker.markDelivered(rangeOf([offset]))
    expect(tracker.committable()?.offset).toBe(8)
    expect(tracker.committable()).toBeUndefined()
  })

  test('offsets without a record are passed once all records before them were delivered', () => {
    const tracker = new OffsetTracker(3)
    // Nothing of the records read has been delivered yet.
    tracker.skip(5, 9)
    expect([tracker.next, tracker.committable()]).toEqual([undefined, undefined])
    tracker.track(rangeOf([3]))
    tracker.markDelivered(rangeOf([3]))
    expect([tracker.next, tracker.committable()?.offset]).toEqual([4, 4])
    tracker.track(rangeOf([4]))
    expect(tracker.next).toBe(4)
    tracker.markDelivered(rangeOf([4]))
    expect([tracker.next, tracker.committable()]).toEqual([9, { offset: 9, records: 2 }])
    // The client's own commits count delivered records.
    expect(tracker.delivered).toBe(5)
  })

  test('offsets without a record are committed in a partition without any record', () => {
    const tracker = new OffsetTracker(3)
    tracker.skip(3, 5)
    expect([tracker.next, tracker.committable()]).toEqual([5, { offset: 5, records: 0 }])
  })

  test('a record is counted once, and a record that was not polled is ignored', () => {
    const tracker = new OffsetTracker(0)
    tracker.track(rangeOf([0]))
    for (const offset of [0, 0, 9]) tracker.markDelivered(rangeOf([offset]))
    expect(tracker.uncertain).toBe(1)
    expect(tracker.committable()).toEqual({ offset: 1, records: 1 })
  })
})
