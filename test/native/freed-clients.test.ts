/**
 * A consumer is freed only when its requests of administration are answered. Confluent's client would go on
 * with freed memory, which ends the process.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  connectClient,
  createConsumer,
  disconnectClient,
  membersOf,
} from '../../kafka/client/client.ts'
import { uniqueName } from '../support/names.ts'
import { within } from '../support/wait.ts'
import { type Cluster, clusters } from './clusters.ts'

const ROUNDS = 8

for (const { name, start } of clusters) {
  describe(`A consumer of the ${name}`, () => {
    let cluster: Cluster
    beforeAll(async () => {
      cluster = await start()
    }, 120_000)
    afterAll(() => cluster?.close(), 120_000)

    test('is freed when its requests of administration are answered, and takes no further ones', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const consumer = createConsumer({
          'bootstrap.servers': cluster.brokers,
          'group.id': uniqueName('freed'),
        })
        await connectClient(consumer, 20_000)
        const asked = [0, 1, 2].map(() => membersOf(uniqueName('group'), consumer))
        // Requests are on their way for a few milliseconds.
        await Bun.sleep(round % 4)
        const freed = disconnectClient(consumer)
        const late = membersOf(uniqueName('group'), consumer)
        await expect(late).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
        const answers = await within(Promise.allSettled(asked), 'the answers')
        for (const { status } of answers) if (cluster.isReal) expect(status).toBe('fulfilled')
        await within(freed, 'the consumer to be freed')
      }
    }, 120_000)
  })
}
