/** The clock of a gateway is set, on and back: durations have a clock of their own, and nobody sees it. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { until } from '../support/wait.ts'
import { Followers, tallyOf } from './support/follower.ts'
import { sized } from './support/form.ts'
import { Pollers } from './support/pollers.ts'
import { report } from './support/report.ts'
import { uncertainIn } from './support/uncertain.ts'
import { Writer } from './support/writer.ts'

const PARTITIONS = 4
const FOLLOWERS = 3
const RATE = 200
const JUMPS = sized(4, 12)
const LIMIT = 180_000
const CLOCK_SET = { BUN_OPTIONS: `--preload ${join(import.meta.dirname, 'support/set-clock.ts')}` }

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

test(
  'a clock that jumps on and back ends no stream and loses nothing',
  async () => {
    const topic = await kafka.createTopic(PARTITIONS)
    await using writer = await Writer.connect(kafka.bootstrapServers, topic, PARTITIONS)
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic]
    const { gateway, url } = await GatewayProcess.listening(flags, CLOCK_SET)
    await using _ = gateway
    writer.start(RATE)
    using followers = new Followers(FOLLOWERS, `${url}/stream`, PARTITIONS)
    await using pollers = new Pollers(PARTITIONS, 50)
    for (let i = 0; i < 2; i++) pollers.add(`${url}/messages`)
    const all = (count: number) =>
      until(
        () => followers.slowest >= count && pollers.distinct >= count,
        () => `${count} records; ${followers.slowest} streamed, ${pollers.distinct} by group`,
        60_000,
      )
    await all(RATE)
    for (let jump = 1; jump <= JUMPS; jump++) {
      gateway.signal('SIGUSR2')
      await until(() => gateway.logged('clock: ') === jump, 'the clock to be set')
      const before = writer.acknowledged
      await writer.reaches(before + RATE)
      await all(before + RATE)
    }
    const sent = await writer.finish()
    await all(sent)
    const { doubled, wrong } = pollers.tally
    report(`the clock set ${JUMPS} times`, { sent, ...followers.tally })
    report('and the group', { sent, lost: sent - pollers.distinct, doubled, wrong })
    expect(followers.tally).toEqual(tallyOf(sent * FOLLOWERS))
    expect([pollers.distinct, wrong]).toEqual([sent, 0])
    expect(doubled).toBeLessThanOrEqual(uncertainIn(gateway.stderr))
    // Nobody had to come back.
    expect(followers.opened).toBe(1)
  },
  LIMIT,
)
