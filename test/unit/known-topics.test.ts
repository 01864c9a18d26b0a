import { describe, expect, test } from 'bun:test'
import { KnownTopics } from '../../kafka/cluster/known-topics.ts'

describe('a topic that Kafka had and denies', () => {
  test('is gone once the denial has lasted for 4 s', () => {
    const topics = new KnownTopics()
    topics.found('t')
    expect([0, 1_000, 3_999].map((now) => topics.isGone('t', now))).toEqual([false, false, false])
    expect(topics.has('t')).toBe(true)
    expect(topics.isGone('t', 4_000)).toBe(true)
    expect(topics.has('t')).toBe(false)
    expect(topics.isGone('t', 4_001)).toBe(true)
  })

  test('is there again as soon as Kafka names it: a later denial begins anew', () => {
    const topics = new KnownTopics()
    topics.isGone('t', 0)
    topics.found('t')
    expect(topics.isGone('t', 5_000)).toBe(false)
    expect(topics.isGone('t', 9_000)).toBe(true)
  })

  test('is not gone by a denial from before Kafka was away, or one of long ago', () => {
    const topics = new KnownTopics()
    topics.isGone('t', 0)
    topics.forgetDenials()
    expect(topics.isGone('t', 5_000)).toBe(false)
    expect(topics.isGone('t', 3_600_000)).toBe(false)
  })

  test('is not gone by a denial of another topic', () => {
    const topics = new KnownTopics()
    topics.isGone('t', 0)
    expect(topics.isGone('u', 5_000)).toBe(false)
  })
})
