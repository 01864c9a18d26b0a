/**
 * Makes two routes as a thread does, and prints the names by which it shares their limits with other threads.
 * The argument is the route that is asked first.
 */
import { lease } from '../../src/http/route/cluster-registry.ts'
import { setKafkaSide } from '../../src/http/route/load-kafka.ts'
import { Route } from '../../src/http/route/route.ts'
import { countForAllThreads } from '../../src/http/route/thread-limits.ts'
import { resolveOptions } from '../../src/options/consume-options.ts'
import type { KafkaCluster, KafkaSide } from '../../src/port/kafka.ts'
import type { SharedPlaces } from '../../src/port/threads.ts'
import type { Transform } from '../../src/records/transform.ts'

const limits: string[] = []
const gauge = { value: 0, others: [], add() {}, release() {} }
countForAllThreads({
  makeGauge: (name) => {
    limits.push(name)
    return gauge
  },
  shareNames: () => {
    throw new Error('no group is joined')
  },
})

let places: string | undefined
setKafkaSide({
  connect: () => ({ name: 'kafka', close: async () => {} }) as unknown as KafkaCluster,
  sharedPlaces: (name: string) => {
    places = name
    return { onAsked() {}, release() {} } as unknown as SharedPlaces
  },
} as unknown as KafkaSide)

/** Transforms with one source text that do different things. */
function keep(field: string): Transform {
  return ({ value }) => ({ value: (value as Record<string, unknown>)[field] })
}

const routes = ['total', 'paid'].map(
  (field) =>
    new Route(
      resolveOptions({
        bootstrapServers: 'localhost:9092',
        topics: ['orders'],
        messageDeserializer: 'json',
        transform: keep(field),
        authentication: {
          strategy: 'sasl',
          mechanism: 'SCRAM-SHA-256',
          user: 'ann',
          password: 'password-of-kafka',
        },
        schemaRegistry: {
          confluent: {
            url: 'http://localhost:8081',
            authentication: {
              mode: 'basic',
              basic: { username: 'ann', password: 'password-of-registry' },
            },
          },
        },
      }),
    ),
)
const first = Number(process.argv[2])
const found: Array<string | undefined> = []
for (const index of [first, 1 - first]) {
  await lease((routes[index] as Route).options)
  found[index] = places
}
console.log(JSON.stringify({ limits, places: found }))
process.exit()
