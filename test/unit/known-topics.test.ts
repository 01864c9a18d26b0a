import { describe, expect, test } from 'bun:test'
import { KnownTopics } from '../../kafka/cluster/known-topics.ts'

describe('a known topic that Kafka denies', () => {
  test('counts as deleted once the denial has lasted for 4 s', () => {
    const topics = new KnownTopics()
    topics.found('t')
    expect([0, 1_000, 3_999].map((now) => topics.isGone('t', now))).toEqual([false, false, false])
    expect(topics.has('t')).toBe(true)
    expect(topics.isGone('t', 4_000)).toBe(true)
    expect(topics.has('t')).toBe(false)
    expect(topics.isGone('t', 4_001)).toBe(true)
  })

  test('is known again as soon as Kafka lists it: a later denial starts the time again', () => {
    const topics = new KnownTopics()
    topics.isGone('t', 0)
    topics.found('t')
    expect(topics.isGone('t', 5_000)).toBe(false)
    expect(topics.isGone('t', 9_000)).toBe(true)
  })

  test('does not count as deleted by a denial from before an outage, or from long ago', () => {
    const topics = new KnownTopics()
    topics.isGone('t', 0)
    topics.forgetDenials()
    expect(topics.isGone('t', 5_000)).toBe(false)
    expect(topics.isGone('t', 3_600_000)).toBe(false)
  })

  test('does not count as deleted by a denial of another topic', () => {
    const topics = new KnownTopics()
    topics.isGone('t', 0)
    expect(topics.isGone('u', 5_000)).toBe(false)
  })
})
