import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { OffsetTracker } from '../../kafka/group/offset-tracker.ts'

describe('the offset tracker', () => {
  test('a commit never passes an undelivered record, whatever the order of acks and requeues', () => {
    const step = fc.record({
      kind: fc.constantFrom(
        'take',
        'skip',
        'settle',
        'settle a run',
        'give back',
        'commit',
        'failing commit',
      ),
      pick: fc.nat(),
      count: fc.integer({ min: 1, max: 4 }),
      hole: fc.nat(2),
    })
    fc.assert(
      fc.property(fc.nat(1_000), fc.array(step, { maxLength: 80 }), (begin, steps) => {
        const ledger = new OffsetTracker(begin)
        // The model: what is out, what came back, what is done and what Kafka has committed.
        let next = begin
        let committed = begin
        let told = begin
        const out: number[] = []
        const back: number[] = []
        const done: number[] = []
        const runs: number[][] = []
        for (const { kind, pick, count, hole } of steps) {
          if (kind === 'take') {
            const run: number[] = []
            for (let i = 0; i < count; i++) {
              // What came back goes out first, as it lies before what is new.
              const offset = back.shift() ?? next + hole
              next = Math.max(next, offset + 1)
              run.push(offset)
            }
            out.push(...run)
            runs.push(run)
            ledger.track(run)
          } else if (kind === 'settle a run') {
            const [run] = runs.splice(pick % Math.max(1, runs.length), 1)
            if (!run?.every((offset) => out.includes(offset))) continue
            for (const offset of run) out.splice(out.indexOf(offset), 1)
            ledger.markDelivered(run)
            done.push(...run)
          } else if (kind === 'skip') {
            ledger.skip(next, next + count)
            next += count
          } else if (kind === 'settle' || kind === 'give back') {
            const [offset] = out.splice(pick % Math.max(1, out.length), 1)
            if (offset === undefined) continue
            if (kind === 'give back') {
              back.push(offset)
              back.sort((a, b) => a - b)
            } else {
              ledger.markDelivered([offset])
              done.push(offset)
            }
          } else {
            const expected = Math.min(next, ...out, ...back)
            const claim = ledger.committable()
            // It is told once, and only when it moved.
            expect(claim?.offset).toBe(expected > told ? expected : undefined)
            if (!claim) continue
            if (kind === 'commit') {
              ledger.committed(claim)
              told = committed = expected
            } else {
              ledger.uncommitted()
              told = begin
            }
          }
          expect(ledger.uncertain).toBe(done.filter((offset) => offset >= committed).length)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a hole in the offsets holds no commit up', () => {
    const ledger = new OffsetTracker(3)
    for (const offset of [3, 7, 8]) ledger.track([offset])
    for (const offset of [3, 7]) ledger.markDelivered([offset])
    expect(ledger.committable()?.offset).toBe(8)
    expect(ledger.committable()).toBeUndefined()
  })

  test('offsets without a record are passed once all records before them were delivered', () => {
    const ledger = new OffsetTracker(3)
    // Of what was read, nothing was handed out yet.
    ledger.skip(5, 9)
    expect([ledger.next, ledger.committable()]).toEqual([undefined, undefined])
    ledger.track([3])
    ledger.markDelivered([3])
    expect([ledger.next, ledger.committable()?.offset]).toEqual([4, 4])
    ledger.track([4])
    expect(ledger.next).toBe(4)
    ledger.markDelivered([4])
    expect([ledger.next, ledger.committable()]).toEqual([9, { offset: 9, records: 2 }])
    // What a client commits by itself is told by records.
    expect(ledger.delivered).toBe(5)
  })

  test('offsets without a record are committed where there was no record at all', () => {
    const ledger = new OffsetTracker(3)
    ledger.skip(3, 5)
    expect([ledger.next, ledger.committable()]).toEqual([5, { offset: 5, records: 0 }])
  })

  test('a record is settled once, and a record that was not polled not at all', () => {
    const ledger = new OffsetTracker(0)
    ledger.track([0])
    for (const offset of [0, 0, 9]) ledger.markDelivered([offset])
    expect(ledger.uncertain).toBe(1)
    expect(ledger.committable()).toEqual({ offset: 1, records: 1 })
  })
})
