import { asKafkaConsumeError } from '../../core/errors.ts'
import { loadKafkaSide } from '../../http/route/load-kafka.ts'
import { clusterOptions } from '../../options/connection.ts'
import { resolveOptions } from '../../options/consume-options.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'

/** Topics that are named at most. */
const MAX_NAMED = 20

/** A sentence that names the topics of a cluster, or says why it cannot; without a full stop. */
export async function namedTopics({
  brokers,
  topics,
  ...connection
}: NonNullable<GatewayConfig['cluster']>): Promise<string> {
  const address = brokers.join(',')
  try {
    const { connect } = await loadKafkaSide()
    const options = resolveOptions({
      bootstrapServers: [...brokers],
      topics: [...topics],
      ...connection,
    })
    const cluster = connect(clusterOptions(options))
    try {
      return sentence(address, await cluster.topicNames())
    } finally {
      await cluster.close()
    }
  } catch (thrown) {
    const { message, detail } = asKafkaConsumeError(thrown)
    return detail === undefined ? message : `${message} (${detail})`
  }
}

function sentence(address: string, names: readonly string[]): string {
  if (names.length === 0) return `${address} has no topics yet`
  const more = names.length - MAX_NAMED
  const rest = more > 0 ? `, and ${more} more` : ''
  return `${address} has ${names.slice(0, MAX_NAMED).join(', ')}${rest}`
}
