import type { KafkaSide } from '../../port/kafka.ts'

let loading: Promise<KafkaSide> | undefined

/**
 * Imports `kafka/`. It is imported nowhere else in `src/`, and not before it is needed, so that
 * options can be validated and help be printed without the native addon.
 */
export function loadKafkaSide(): Promise<KafkaSide> {
  // biome-ignore lint/style/noRestrictedImports: the one way from src/ to kafka/
  loading ??= import('../../../kafka/index.ts').then((module) => module.kafkaSide)
  return loading
}

/** Has a thread that does not load `kafka/` use the Kafka side of another thread. */
export function setKafkaSide(side: KafkaSide): void {
  loading = Promise.resolve(side)
}
