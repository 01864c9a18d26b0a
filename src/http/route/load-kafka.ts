import type { KafkaSide } from '../../port/kafka.ts'

let loading: Promise<KafkaSide> | undefined

/**
 * The Kafka side of the project: the one place where `src/` reaches it, and only when it is needed,
 * so that options can be checked and help be shown without a native addon.
 */
export function loadKafkaSide(): Promise<KafkaSide> {
  // biome-ignore lint/style/noRestrictedImports: the one way from src/ to kafka/
  loading ??= import('../../../kafka/index.ts').then((module) => module.kafkaSide)
  return loading
}
