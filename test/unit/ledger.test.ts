import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Ledger } from '../../kafka/ledger.ts'

describe('the ledger', () => {
  test('a commit never passes an undelivered record, whatever the order of settling and giving back', () => {
    const step = fc.record({
      kind: fc.constantFrom('take', 'settle', 'give back', 'commit', 'forget'),
      partition: fc.nat(2),
      pick: fc.nat(),
      count: fc.integer({ min: 1, max: 4 }),
      hole: fc.nat(2),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const ledger = new Ledger()
        // The model: for each partition what is out, what came back, what is done and what was told.
        const fresh = (next: number) => ({
          next,
          first: next,
          out: [] as number[],
          back: [] as number[],
          done: new Set<number>(),
          committed: next,
          known: false,
        })
        const models = [fresh(0), fresh(10), fresh(1_000)]
        for (const { kind, partition, pick, count, hole } of steps) {
          const model = models[partition] as ReturnType<typeof fresh>
          if (kind === 'take') {
            for (let i = 0; i < count; i++) {
              // What came back goes out first, as it lies before what is new.
              let offset = model.back.shift()
              if (offset === undefined) {
                offset = model.next + hole
                if (!model.known) model.first = model.committed = offset
                model.next = offset + 1
              }
              model.known = true
              model.out.push(offset)
              ledger.take('t', partition, offset)
            }
          } else if (kind === 'settle' || kind === 'give back') {
            const [offset] = model.out.splice(pick % Math.max(1, model.out.length), 1)
            if (offset === undefined) continue
            if (kind === 'give back') {
              model.back = [...model.back, offset].sort((a, b) => a - b)
            } else {
              expect(ledger.settle('t', partition, offset)).toBe(true)
              model.done.add(offset)
            }
          } else if (kind === 'forget') {
            ledger.forget('t', partition)
            for (const offset of model.out) {
              expect(ledger.settle('t', partition, offset)).toBe(false)
            }
            models[partition] = fresh(model.next)
          } else {
            const told = new Map(ledger.committable().map((each) => [each.partition, each.offset]))
            models.forEach((each, index) => {
              const pending = [...each.out, ...each.back]
              const expected = each.known ? Math.min(each.next, ...pending) : each.committed
              // It is told once, and only when it moved.
              expect(told.get(index)).toBe(expected > each.committed ? expected : undefined)
              each.committed = Math.max(each.committed, expected)
              for (const offset of pending) expect(offset).toBeGreaterThanOrEqual(each.committed)
            })
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a hole in the offsets holds no commit up', () => {
    const ledger = new Ledger()
    for (const offset of [3, 7, 8]) ledger.take('t', 0, offset)
    for (const offset of [3, 7]) ledger.settle('t', 0, offset)
    expect(ledger.committable()).toEqual([{ topic: 't', partition: 0, offset: 8 }])
    expect(ledger.committable()).toEqual([])
  })

  test('topics and partitions do not mix', () => {
    const ledger = new Ledger()
    ledger.take('a', 1, 5)
    ledger.take('a', 11, 5)
    ledger.take('b', 1, 5)
    ledger.settle('a', 11, 5)
    expect(ledger.committable()).toEqual([{ topic: 'a', partition: 11, offset: 6 }])
  })

  test('a record is settled once', () => {
    const ledger = new Ledger()
    ledger.take('t', 0, 1)
    expect(ledger.settle('t', 0, 1)).toBe(true)
    expect(ledger.settle('t', 0, 1)).toBe(false)
    expect(ledger.settle('t', 0, 9)).toBe(false)
  })
})
