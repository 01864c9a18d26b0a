/** Polls as they travel between threads: numbers only, which are sent for the least time. */
import type { DeliveryLayout } from '../port/encoding.ts'
import type { PollLimits } from '../port/kafka.ts'

export type SentPoll = readonly [
  group: number,
  maxRecords: number,
  maxBytes: number,
  timeout: number,
  uses: number,
]

/** The index of each list, plus 1, is in the lowest bits of the uses; 0 is a poll without a layout. */
const LISTS: ReadonlyArray<DeliveryLayout['list']> = ['lines', 'flat', 'kong', 'array']
const LIST_BITS = 7
const VALUES_ONLY = 8
const VALUES_ARE_JSON = 16
const WANTS_RECORDS = 32
const WANTS_RUNS = 64

export function packPoll(group: number, limits: PollLimits): SentPoll {
  const { maxRecords, maxBytes, timeout, wantsRecords, wantsRuns, layout } = limits
  let uses = (wantsRecords ? WANTS_RECORDS : 0) + (wantsRuns ? WANTS_RUNS : 0)
  if (layout) {
    const { list, content, valuesAreJson } = layout
    uses += LISTS.indexOf(list) + 1
    uses += (content === 'value' ? VALUES_ONLY : 0) + (valuesAreJson ? VALUES_ARE_JSON : 0)
  }
  return [group, maxRecords, maxBytes, timeout, uses]
}

/** The limits of {@link packPoll}. */
export function unpackPoll([, maxRecords, maxBytes, timeout, uses]: SentPoll): PollLimits {
  const list = LISTS[(uses & LIST_BITS) - 1]
  return {
    maxRecords,
    maxBytes,
    timeout,
    wantsRecords: (uses & WANTS_RECORDS) !== 0,
    wantsRuns: (uses & WANTS_RUNS) !== 0,
    layout: list && {
      list,
      content: uses & VALUES_ONLY ? 'value' : 'record',
      valuesAreJson: (uses & VALUES_ARE_JSON) !== 0,
    },
  }
}
