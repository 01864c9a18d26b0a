import '../src/runtime.ts'
import type { KafkaSide } from '../src/stream/source.ts'
import { Cluster } from './cluster.ts'
import { startEmbeddedBroker } from './embedded.ts'

/** The Kafka side of the project. */
export const kafkaSide: KafkaSide = {
  connect: (options) => new Cluster(options),
  startEmbeddedBroker,
}
