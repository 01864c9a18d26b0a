import { expect, spyOn, test } from 'bun:test'
import { Commits } from '../../kafka/group/commits.ts'
import { OwnedPartition } from '../../kafka/group/partitions.ts'
import { until, within } from '../support/wait.ts'
import { FakeConsumer, settle } from './fakes.ts'

const REFUSED = { message: 'Broker: Unknown topic or partition', code: 3 }

/** A partition of which so many records are delivered. */
function delivered(topic: string, partition: number, count: number): OwnedPartition {
  const owned = new OwnedPartition(topic, partition, 0)
  for (let offset = 0; offset < count; offset++) {
    const range = { offsets: [offset], begin: 0, end: 1 }
    owned.offsets.track(range)
    owned.offsets.markDelivered(range)
  }
  return owned
}

function failing(topic: string) {
  const consumer = new FakeConsumer()
  consumer.commitError = REFUSED
  consumer.commitErrorTopic = topic
  return { consumer, commits: new Commits('g', () => consumer.asConsumer) }
}

test('a topic that cannot be committed does not hold up the others', async () => {
  const { consumer, commits } = failing('gone')
  const gone = delivered('gone', 0, 3)
  const kept = delivered('kept', 0, 2)
  await within(commits.finish([gone, kept]), 'the last commit')
  expect(consumer.commits).toEqual([[{ topic: 'kept', partition: 0, offset: 2 }]])
  // Only records that were not committed may be delivered again.
  expect([gone.offsets.uncertain, kept.offsets.uncertain]).toEqual([3, 0])
  expect([commits.known('gone', 0), commits.known('kept', 0)]).toEqual([-1, 2])
})

test('a topic that could not be committed is committed with the next commit that succeeds', async () => {
  const { consumer, commits } = failing('late')
  const late = delivered('late', 0, 3)
  const kept = delivered('kept', 0, 2)
  commits.soon(() => [late, kept])
  await until(() => consumer.commits.length === 1, 'the commit of one topic')
  consumer.commitError = undefined
  await until(() => late.offsets.uncertain === 0, 'the other one to be made up for')
  expect(consumer.commits).toEqual([
    [{ topic: 'kept', partition: 0, offset: 2 }],
    [{ topic: 'late', partition: 0, offset: 3 }],
  ])
})

test('posted offsets are committed where that is possible, and the error of the others is reported', async () => {
  const { consumer, commits } = failing('gone')
  const posted = ['gone', 'kept'].map((topic) => ({ topic, partition: 0, offset: 7 }))
  await expect(commits.commit(posted)).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' })
  expect(consumer.committed(0, 'kept')).toBe(7)
  expect([commits.known('gone', 0), commits.known('kept', 0)]).toEqual([-1, 7])
})

test('deliveries that follow each other quickly share a commit, and none of them is left out', async () => {
  const consumer = new FakeConsumer()
  const commits = new Commits('g', () => consumer.asConsumer)
  const owned = new OwnedPartition('t', 0, 0)
  for (let offset = 0; offset < 100; offset++) {
    const range = { offsets: [offset], begin: 0, end: 1 }
    owned.offsets.track(range)
    owned.offsets.markDelivered(range)
    commits.soon(() => [owned])
    if (offset === 0) await until(() => consumer.commits.length === 1, 'the first commit')
    else await settle()
  }
  await until(() => owned.offsets.uncertain === 0, 'the last commit')
  expect(consumer.commits.at(-1)).toEqual([{ topic: 't', partition: 0, offset: 100 }])
  expect(consumer.commits.length).toBeLessThan(50)
})

test('two thousand delivered records are committed without a pause after the last commit', async () => {
  const consumer = new FakeConsumer()
  const commits = new Commits('g', () => consumer.asConsumer)
  const owned = new OwnedPartition('t', 0, 0)
  const deliver = (from: number, to: number) => {
    const range = {
      offsets: Array.from({ length: to - from }, (_, i) => from + i),
      begin: 0,
      end: to - from,
    }
    owned.offsets.track(range)
    owned.offsets.markDelivered(range)
    commits.soon(() => [owned], to - from)
  }
  // No pause ends by itself.
  const timers = spyOn(globalThis, 'setTimeout').mockImplementation((() => 0) as never)
  try {
    const turns = async () => {
      for (let turn = 0; turn < 100; turn++) await Promise.resolve()
    }
    deliver(0, 1)
    await turns()
    expect(consumer.committed(0)).toBe(1)
    for (let from = 1; from < 1_991; from += 10) deliver(from, from + 10)
    await turns()
    expect(consumer.committed(0)).toBe(1)
    deliver(1_991, 2_001)
    await turns()
    expect(consumer.committed(0)).toBe(2_001)
  } finally {
    timers.mockRestore()
  }
})
