import { describe, expect, test } from 'bun:test'
import {
  BodyReceiver,
  BodySender,
  bodyMemory,
  type SharedBody,
} from '../../src/threads/body-memory.ts'
import { packPoll, unpackPoll } from '../../src/threads/sent-poll.ts'

const LARGEST = 64 * 1024
const ROOM = 1024 * 1024

function sharedMemory() {
  const memory = bodyMemory()
  return { writer: new BodySender(memory), reader: new BodyReceiver(memory) }
}

const filled = (length: number, byte: number) => new Uint8Array(length).fill(byte)

describe('bodies in shared memory', () => {
  test('arrive as they were put in, for many times the size of the memory', () => {
    const { writer, reader } = sharedMemory()
    const waiting: Array<{ shared: SharedBody; body: Uint8Array }> = []
    let put = 0
    for (let n = 0; put < 20 * ROOM; n++) {
      const body = filled(1 + ((n * 7_919) % LARGEST), n % 251)
      const shared = writer.put(body)
      if (shared) {
        waiting.push({ shared, body })
        put += body.length
      }
      if (shared && n % 3 !== 0) continue
      const next = waiting.shift()
      if (next) expect(reader.take(next.shared)).toEqual(next.body)
    }
    for (const { shared, body } of waiting) expect(reader.take(shared)).toEqual(body)
  })

  test('a body that is too large, or finds no room until others are taken, is not put in', () => {
    const { writer, reader } = sharedMemory()
    expect(writer.put(filled(LARGEST + 1, 1))).toBeUndefined()
    const shared = Array.from({ length: ROOM / LARGEST }, () => writer.put(filled(LARGEST, 2)))
    expect(shared).not.toContain(undefined)
    expect(writer.put(filled(1, 3))).toBeUndefined()
    const [first, ...others] = shared as SharedBody[]
    expect(reader.take(first as SharedBody)).toEqual(filled(LARGEST, 2))
    const last = writer.put(filled(LARGEST, 4)) as SharedBody
    for (const other of others) expect(reader.take(other)).toEqual(filled(LARGEST, 2))
    expect(reader.take(last)).toEqual(filled(LARGEST, 4))
  })
})

describe('polls as numbers', () => {
  test('have all limits and uses', () => {
    const limits = { maxRecords: 10, maxBytes: 1e6, timeout: 0.5 }
    const uses = [false, true].flatMap((wantsRecords) =>
      [false, true].map((wantsRuns) => ({ wantsRecords, wantsRuns })),
    )
    const layouts = (['lines', 'flat', 'kong', 'array'] as const).flatMap((list) =>
      (['record', 'value'] as const).flatMap((content) =>
        [false, true].map((valuesAreJson) => ({ list, content, valuesAreJson })),
      ),
    )
    for (const use of uses) {
      for (const layout of [undefined, ...layouts]) {
        const poll = { ...limits, ...use, layout }
        expect(unpackPoll(packPoll(7, poll))).toEqual(poll)
      }
    }
  })
})
