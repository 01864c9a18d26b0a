import '../src/core/runtime.ts'
import type { KafkaSide } from '../src/port/kafka.ts'
import { ConfluentCluster } from './cluster/cluster.ts'
import { startEmbeddedBroker } from './embedded/embedded.ts'

/** The Kafka side of the project. */
export const kafkaSide: KafkaSide = {
  connect: (options) => new ConfluentCluster(options),
  startEmbeddedBroker,
}
