/** What runs brokers: Java on this machine, or a container engine. */
import type { BrokerNode, Cluster } from './state.ts'

export interface Engine {
  /** Starts some nodes of a cluster, or one anew on its data; does not wait until they are ready. */
  start(cluster: Cluster, nodes: readonly BrokerNode[]): Promise<void>
  isRunning(cluster: Cluster, node: BrokerNode): boolean
  /** Resolves after the node has ended when the signal ends it. */
  signal(cluster: Cluster, node: BrokerNode, signal: NodeJS.Signals): Promise<void>
  /** Ends all nodes, and removes what only the engine can remove. */
  stop(cluster: Cluster): Promise<void>
  /** The end of a node's log, for an error message. */
  lastLog(cluster: Cluster, node: BrokerNode): string
  /** A command that prints the nodes' logs. */
  logCommand(cluster: Cluster, follow: boolean): string[]
}
