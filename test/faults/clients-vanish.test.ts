/**
 * Clients vanish in every way and resume with their last id: each gets each record once, in order.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { sleep, within } from '../support/wait.ts'
import { sized } from './support/form.ts'
import { type Leave, RawStream } from './support/raw-stream.ts'
import { report } from './support/report.ts'
import { Writer } from './support/writer.ts'

const CLIENTS = 100
const PARTITIONS = 4
/** Written in all; every client gets all of it. */
const RECORDS = sized(2_400, 200_000)
/** Events until a client vanishes, at most. */
const PATIENCE = sized(900, 40_000)
const LIMIT = sized(90_000, 1_800_000)

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

const LEAVES: readonly Leave[] = ['fin', 'reset', 'silence']

/** A client that comes back again and again. */
class Wanderer {
  received = 0
  lost = 0
  doubled = 0
  /** The number of answers with a Retry-After: others were reading older records. */
  sentAway = 0
  readonly vanished: Record<Leave, number> = { fin: 0, reset: 0, silence: 0 }
  readonly #next: number[] = Array.from({ length: PARTITIONS }, () => 0)
  readonly #url: string
  readonly #silent: RawStream[] = []
  #id: string | undefined

  constructor(url: string) {
    this.#url = url
  }

  /** Resolves when it has all. */
  async run(total: number): Promise<void> {
    while (this.received < total) {
      const leave = LEAVES[Math.floor(Math.random() * LEAVES.length)] as Leave
      const isTired = await this.#visit(leave, 1 + Math.floor(Math.random() * PATIENCE), total)
      if (isTired) this.vanished[leave]++
      else this.sentAway++
      // Clients come back after a while of their own, later when they were sent away.
      await sleep(Math.random() * (isTired ? 50 : 1_000))
    }
    for (const stream of this.#silent) stream.end()
  }

  async #visit(leave: Leave, events: number, total: number): Promise<boolean> {
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const start = this.#id === undefined ? '?start=earliest' : ''
    let left = events
    const stream = new RawStream(`${this.#url}${start}`, this.#id, (record, id) => {
      this.#take(record)
      this.#id = id
      left--
      if (left > 0 && this.received < total) return
      stream.leave(leave)
      resolve()
    })
    if (leave === 'silence') this.#silent.push(stream)
    const ended = stream.closed.then(() => 'closed')
    const end = await within(Promise.race([done, ended]), 'the next records of a client', 60_000)
    return end !== 'closed'
  }

  #take({ partition, offset }: { partition: number; offset: number }): void {
    const due = this.#next[partition] as number
    this.received++
    if (offset < due) this.doubled++
    else {
      this.lost += offset - due
      this.#next[partition] = offset + 1
    }
  }
}

test(
  'clients that vanish by FIN, by RST and in silence resume without a loss',
  async () => {
    const topic = await kafka.createTopic(PARTITIONS)
    await using writer = await Writer.connect(kafka.bootstrapServers, topic, PARTITIONS)
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic, '--admin-port', 'off']
    const { gateway, url } = await GatewayProcess.listening(flags)
    await using _ = gateway
    const wanderers = Array.from({ length: CLIENTS }, () => new Wanderer(`${url}/stream`))
    writer.start(sized(400, 2_000))
    const running = Promise.all(wanderers.map((wanderer) => wanderer.run(RECORDS)))
    await Promise.race([running, writer.reaches(RECORDS, LIMIT)])
    const sent = await writer.finish()
    await within(running, 'all clients to have all records', LIMIT)
    const sum = (of: (wanderer: Wanderer) => number) =>
      wanderers.reduce((total, wanderer) => total + of(wanderer), 0)
    const counts = {
      received: sum(({ received }) => received),
      lost: sum(({ lost }) => lost),
      doubled: sum(({ doubled }) => doubled),
    }
    report(`${CLIENTS} clients that vanish`, {
      sent,
      ...counts,
      FINs: sum(({ vanished }) => vanished.fin),
      RSTs: sum(({ vanished }) => vanished.reset),
      silences: sum(({ vanished }) => vanished.silence),
      'times sent away': sum(({ sentAway }) => sentAway),
    })
    expect(counts).toEqual({ received: RECORDS * CLIENTS, lost: 0, doubled: 0 })
  },
  LIMIT,
)
