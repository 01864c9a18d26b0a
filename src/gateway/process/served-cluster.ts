import { loadKafkaSide } from '../../http/route/load-kafka.ts'
import type { EmbeddedBroker } from '../../port/kafka.ts'
import type { GatewayOptions } from '../app.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'

/** The cluster of the gateway's own routes; undefined where it has none. */
export type ServedCluster = GatewayOptions['cluster']

const DEMO = { topic: 'kong-test', records: 1_000, recordsPerSecond: 5 }

/** The cluster of `--brokers`, or an embedded broker for a demo. With `--config` alone there is neither. */
export async function clusterOf(config: GatewayConfig): Promise<{
  readonly cluster?: ServedCluster
  readonly broker?: EmbeddedBroker
}> {
  const kafka = await loadKafkaSide()
  if (config.cluster) return { cluster: config.cluster }
  if (config.config !== undefined) return {}
  const broker = await kafka.startEmbeddedBroker(DEMO)
  return { cluster: { brokers: [...broker.bootstrapServers], topics: [DEMO.topic] }, broker }
}
