import { test } from 'bun:test'
import { IdleTimer } from '../../src/feed/idle-timer.ts'
import { stays, until } from '../support/wait.ts'

test('the idle time begins when the last user leaves', async () => {
  let calls = 0
  const timer = new IdleTimer(20, () => calls++)
  timer.enter()
  timer.enter()
  timer.leave()
  await stays(() => calls === 0, 'nothing is called while there is a user', 60)
  timer.leave()
  await until(() => calls === 1, 'the call')
})

test('a user that leaves after the stop begins no idle time, and a later one does', async () => {
  let calls = 0
  const timer = new IdleTimer(20, () => calls++)
  timer.enter()
  timer.stop()
  timer.leave()
  await stays(() => calls === 0, 'nothing is called after the stop', 60)
  timer.enter()
  timer.leave()
  await until(() => calls === 1, 'the call')
})
