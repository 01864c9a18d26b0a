/** A producer at a steady rate. Its values begin with the time at which they were sent. */

import { type Client, call, loadClient } from '../../kafka/client/client.ts'
import { keyOf } from './pacer-key.ts'
import { serveCommands } from './serve.ts'

export type Pacer = typeof commands

let client: InstanceType<Client['Producer']> | undefined

const commands = {
  /** @param lingerMs Milliseconds for which records wait for others of their batch. Default: 0. */
  async open({ brokers, lingerMs = 0 }: { brokers: string; lingerMs?: number }) {
    const opening = new (loadClient().Producer)({
      'bootstrap.servers': brokers,
      'linger.ms': lingerMs,
      acks: 1,
    })
    await call('Cannot connect to Kafka', (done) => opening.connect({ timeout: 5_000 }, done))
    client = opening
  },

  /**
   * Sends records one by one, as evenly as timers allow.
   *
   * @param keys The number of different keys, used in turn. Default: records have no keys.
   */
  async send(sending: {
    topic: string
    partitions: number
    bytes: number
    perSecond: number
    seconds: number
    keys?: number
  }) {
    if (!client) throw new Error('Cannot send: no producer is open')
    const { topic, partitions, bytes, perSecond, seconds, keys } = sending
    const begun = performance.now()
    for (let sent = 0; sent < perSecond * seconds; ) {
      const due = Math.floor(((performance.now() - begun) / 1_000) * perSecond)
      for (; sent < due; sent++) {
        const now = (performance.timeOrigin + performance.now()).toFixed(6).slice(0, 16)
        const value = Buffer.from(`${now} customer `.padEnd(bytes, 'x'))
        client.produce(topic, sent % partitions, value, keys ? keyOf(sent, keys) : null)
      }
      client.poll()
      await Bun.sleep(Math.max(1, Math.min(50, 500 / perSecond)))
    }
    return { seconds: (performance.now() - begun) / 1_000 }
  },
}

serveCommands(commands)
