/** Counters of failed logins that the threads of a process share. */
import { expect, test } from 'bun:test'
import { MessageChannel } from 'node:worker_threads'
import type { LoginCounter } from '../../src/core/login-counter.ts'
import { type MessageChannelEnd, Messenger } from '../../src/threads/messenger.ts'
import { remoteLoginCounters, SharedCounters } from '../../src/threads/shared-counters.ts'
import { stopClock } from '../support/clock.ts'

test('failed passwords of a name make it wait in all threads, and a success forgives in all', async () => {
  const counters = new SharedCounters()
  const channels = [new MessageChannel(), new MessageChannel()]
  const threads = channels.map(({ port1, port2 }) => {
    counters.serve(new Messenger(port1 as unknown as MessageChannelEnd))
    return remoteLoginCounters(new Messenger(port2 as unknown as MessageChannelEnd))
  })
  const [one, other] = threads.map((make) => make('guard', 'gateway')) as [
    LoginCounter,
    LoginCounter,
  ]
  using clock = stopClock()
  for (const thread of [one, other, one, other, one]) {
    expect(await thread.count('ann', true)).toBeUndefined()
  }
  for (const thread of [one, other]) {
    expect(await thread.count('ann', true)).toBe(1)
    expect(await thread.count('ann', false)).toBe(1)
    expect(await thread.count('bob', true)).toBeUndefined()
  }
  clock.pass(1_000)
  expect(await one.count('ann', false)).toBeUndefined()
  expect(await other.count('ann', true)).toBeUndefined()
  // A plugin's counter is another one.
  expect(await threads[0]?.('a plugin', 'kong').count('ann', true)).toBeUndefined()
  for (const { port1 } of channels) port1.close()
})
