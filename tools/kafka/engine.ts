/** Runs brokers: as Java processes, or in containers. */
import type { BrokerNode, Cluster } from './state.ts'

export interface Engine {
  /** Starts nodes of a cluster on their data; does not wait until they are ready. */
  start(cluster: Cluster, nodes: readonly BrokerNode[]): Promise<void>
  isRunning(cluster: Cluster, node: BrokerNode): boolean
  /** Sends a signal; resolves after the node's end if the signal ends it. */
  signal(cluster: Cluster, node: BrokerNode, signal: NodeJS.Signals): Promise<void>
  /** Ends all nodes, and removes their containers and volumes. */
  stop(cluster: Cluster): Promise<void>
  /** The end of a node's log, for an error message. */
  lastLog(cluster: Cluster, node: BrokerNode): string
  /** A command that prints the nodes' logs. */
  logCommand(cluster: Cluster, follow: boolean): string[]
}
