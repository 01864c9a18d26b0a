/** The settings of one node, which is both a broker and a controller. */
import { join } from 'node:path'
import { listenerLists, secureProperties } from './secure.ts'
import type { BrokerNode, Cluster } from './state.ts'

export function serverProperties(cluster: Cluster, node: BrokerNode): string {
  const { nodes } = cluster
  const replicas = nodes.length
  const minInSync = replicas > 1 ? 2 : 1
  const voters = nodes.map(({ id, controllerPort }) => `${id}@localhost:${controllerPort}`)
  const secure = listenerLists(cluster)
  return format({
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': voters.join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: [
      `PLAINTEXT://127.0.0.1:${node.port}`,
      `CONTROLLER://127.0.0.1:${node.controllerPort}`,
      ...secure.listeners,
    ].join(','),
    'advertised.listeners': [`PLAINTEXT://localhost:${node.port}`, ...secure.advertised].join(','),
    'listener.security.protocol.map': [
      'PLAINTEXT:PLAINTEXT',
      'CONTROLLER:PLAINTEXT',
      ...secure.protocols,
    ].join(','),
    'log.dirs': dataFolder(cluster, node),

    // A topic must be created before it is used, as in most production clusters.
    'auto.create.topics.enable': false,
    'num.partitions': 4,
    'default.replication.factor': replicas,
    'min.insync.replicas': minInSync,

    // Internal topics have few partitions: each costs files, and time at the first use.
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': minInSync,
    'share.coordinator.state.topic.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': minInSync,

    // Groups start at once, and the cluster soon notices a dead broker.
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    ...(replicas > 1 && {
      'broker.heartbeat.interval.ms': 500,
      'broker.session.timeout.ms': 4000,
    }),

    'log.cleaner.dedupe.buffer.size': 8 * 1024 * 1024, // The default of 128 MiB is too much for a small heap.
    ...secureProperties(cluster),
    ...cluster.properties,
  })
}

export function dataFolder({ data }: Cluster, { id }: BrokerNode): string {
  return join(data, `broker-${id}`)
}

function format(properties: Record<string, string | number | boolean>): string {
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${String(value).replaceAll('\\', '\\\\')}\n`)
    .join('')
}
