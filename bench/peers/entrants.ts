/** The measured servers: processes that serve a topic to many streams, each in its own way. */
import type { Child } from '../child.ts'
import type { Topic } from '../kafka.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Peer, PeerName } from '../programs/peer.ts'
import type { InstalledName, InstalledPeer } from '../programs/peer-installed.ts'
import { type Bench, PARTITIONS, type Size } from '../scenario.ts'
import { buildBenthos, compileNodeRdkafka, installPackages } from './install.ts'

/** One side: a server, its number of streams, and their topic. */
export interface Entrant {
  readonly name: string
  readonly kind: 'gateway' | 'written' | 'installed'
  readonly size: Size
  readonly streams: number
  /** Records of one round. */
  readonly records: number
  readonly port: number
  /** The topic of the server's one consumer; undefined if each stream has its own consumer. */
  readonly topic: Topic | undefined
  path(stream: number, topic: string): string
  /** When records may be written: most servers must know the streams first, others store records for them. */
  readonly until: 'asked' | 'answered'
  /** The server's process. */
  readonly child: Child<never>
  /** Seconds of processor time since the start; undefined if unknown. */
  cpu(): Promise<number | undefined>
}

/** Records of a round for slow servers, which take some seconds for them. */
const RECORDS = 1_000

export async function enterGateway(
  bench: Bench,
  size: Size,
  streams: number,
  records: number,
): Promise<Entrant> {
  const child = bench.spawn<Gateway>('gateway')
  const topic = await newTopic(bench, size)
  const { port } = await child.ask('serve', { brokers: bench.brokers, topic: topic.name })
  return {
    ...{ name: 'gateway', kind: 'gateway', size, streams, records, port, topic },
    path: () => '/stream',
    until: 'answered',
    child,
    cpu: cpuOf(child),
  }
}

/** The handwritten servers. @param consumers One consumer for all streams, or one for each. */
export async function enterWritten(
  bench: Bench,
  name: PeerName,
  size: Size,
  streams: number,
  consumers: 'one' | 'each',
): Promise<Entrant> {
  const packages = await installPackages()
  const child = bench.spawn<Peer>('peer')
  const topic = await newTopic(bench, size)
  const { brokers } = bench
  const { port } = await child.ask('serve', { name, packages, brokers, topic: topic.name })
  const common = { kind: 'written', size, streams, records: RECORDS, port } as const
  const asked = { until: 'answered', child, cpu: cpuOf(child) } as const
  return consumers === 'one'
    ? { ...common, ...asked, name, topic, path: () => '/stream' }
    : {
        ...{ ...common, ...asked, name: `${name}, a consumer each`, topic: undefined },
        path: (_, topic) => `/own/${topic}`,
      }
}

export async function enterKafkaSse(bench: Bench, size: Size, streams: number): Promise<Entrant> {
  const packages = await installPackages()
  await compileNodeRdkafka(packages)
  const entrant = await enterInstalled(bench, 'kafka-sse', packages, size, streams)
  return { ...entrant, topic: undefined, path: (_, topic) => `/${topic}`, until: 'answered' }
}

export async function enterBenthos(bench: Bench, size: Size, streams: number): Promise<Entrant> {
  const entrant = await enterInstalled(bench, 'benthos', await buildBenthos(), size, streams)
  // The server's answer begins with the first record.
  return { ...entrant, path: (stream) => `/stream/${stream}`, until: 'asked' }
}

async function enterInstalled(
  bench: Bench,
  name: InstalledName,
  installed: string,
  size: Size,
  streams: number,
): Promise<Omit<Entrant, 'path' | 'until'>> {
  const child = bench.spawn<InstalledPeer>('peer-installed')
  const topic = await newTopic(bench, size)
  const serving = { name, installed, brokers: bench.brokers, topic: topic.name }
  const { port } = await child.ask('serve', { ...serving, partitions: PARTITIONS, streams })
  return {
    ...{ name, kind: 'installed', size, streams, records: RECORDS, port, topic },
    child,
    cpu: () => child.ask('cpu'),
  }
}

export function newTopic(bench: Bench, size: Size): Promise<Topic> {
  return bench.topics.create(PARTITIONS, size.bytes)
}

function cpuOf(child: Child<never>): () => Promise<number> {
  return async () => (await child.usage()).cpu
}
