import { expect, test } from 'bun:test'
import { SentGaps } from '../../src/http/stream/sent-gaps.ts'
import type { Delivery } from '../../src/port/kafka.ts'
import { ticket } from './fakes.ts'

function sent(gaps: SentGaps) {
  const { delivery, ended } = ticket()
  gaps.add(delivery as Delivery, () => delivery.ack())
  return ended
}

test('a client that acknowledges a record, or stays, was told of the gaps that it was sent before', () => {
  const gaps = new SentGaps()
  const before = performance.now() - 1
  const first = sent(gaps)
  gaps.confirm(before)
  expect(first).toEqual([])
  gaps.confirm(performance.now())
  expect(first).toEqual(['done'])
})

test('gaps that a client has not confirmed when it leaves go to the next client, and the others do not', () => {
  const gaps = new SentGaps()
  const confirmed = sent(gaps)
  gaps.confirm(performance.now())
  const unconfirmed = sent(gaps)
  gaps.requeue()
  expect([confirmed, unconfirmed]).toEqual([['done'], ['requeued']])
})
