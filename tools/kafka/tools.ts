/** Kafka's own command line tools, by their names in Kafka's `bin` folder. */

interface Tool {
  readonly mainClass: string
  /** Whether the tool connects to brokers, so that it takes --bootstrap-server. */
  readonly remote: boolean
}

const remote = (mainClass: string): Tool => ({ mainClass, remote: true })
const local = (mainClass: string): Tool => ({ mainClass, remote: false })

export const tools: Readonly<Record<string, Tool>> = {
  'kafka-acls': remote('org.apache.kafka.tools.AclCommand'),
  'kafka-broker-api-versions': remote('org.apache.kafka.tools.BrokerApiVersionsCommand'),
  'kafka-configs': remote('kafka.admin.ConfigCommand'),
  'kafka-console-consumer': remote('org.apache.kafka.tools.consumer.ConsoleConsumer'),
  'kafka-console-producer': remote('org.apache.kafka.tools.ConsoleProducer'),
  'kafka-consumer-groups': remote('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'),
  'kafka-consumer-perf-test': remote('org.apache.kafka.tools.ConsumerPerformance'),
  'kafka-delegation-tokens': remote('org.apache.kafka.tools.DelegationTokenCommand'),
  'kafka-delete-records': remote('org.apache.kafka.tools.DeleteRecordsCommand'),
  'kafka-dump-log': local('org.apache.kafka.tools.DumpLogSegments'),
  'kafka-features': remote('org.apache.kafka.tools.FeatureCommand'),
  'kafka-get-offsets': remote('org.apache.kafka.tools.GetOffsetShell'),
  'kafka-groups': remote('org.apache.kafka.tools.GroupsCommand'),
  'kafka-leader-election': remote('org.apache.kafka.tools.LeaderElectionCommand'),
  'kafka-log-dirs': remote('org.apache.kafka.tools.LogDirsCommand'),
  'kafka-metadata-quorum': remote('org.apache.kafka.tools.MetadataQuorumCommand'),
  'kafka-producer-perf-test': remote('org.apache.kafka.tools.ProducerPerformance'),
  'kafka-reassign-partitions': remote('org.apache.kafka.tools.reassign.ReassignPartitionsCommand'),
  'kafka-storage': local('kafka.tools.StorageTool'),
  'kafka-topics': remote('org.apache.kafka.tools.TopicCommand'),
  'kafka-transactions': remote('org.apache.kafka.tools.TransactionsCommand'),
}

/** Whether a tool connects to brokers, and its arguments neither name them nor ask for help. */
export function needsBootstrapServer({ remote }: Tool, args: readonly string[]): boolean {
  const own = ['--bootstrap-server', '--bootstrap-controller', '--help', '--version']
  return remote && !args.some((arg) => own.includes(arg.split('=')[0] ?? ''))
}

/** Adds --bootstrap-server for the running cluster, where a tool needs it. */
export function withBootstrapServer(tool: Tool, args: string[], servers: string): string[] {
  return needsBootstrapServer(tool, args) ? ['--bootstrap-server', servers, ...args] : args
}
