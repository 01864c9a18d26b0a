import { loadOnce } from '../../core/on-use.ts'
import type { KafkaSide } from '../../port/kafka.ts'

/**
 * Imports `kafka/`. It is imported nowhere else in `src/`, and not before it is needed, so that
 * options can be validated and help be printed without the native addon.
 */
// biome-ignore lint/style/noRestrictedImports: the one way from src/ to kafka/
const importKafkaSide = loadOnce(async () => (await import('../../../kafka/index.ts')).kafkaSide)

let ofOtherThread: KafkaSide | undefined

/** The Kafka side, which is imported with the first call. */
export async function loadKafkaSide(): Promise<KafkaSide> {
  return ofOtherThread ?? importKafkaSide()
}

/** Makes a thread that does not load `kafka/` use the Kafka side of another thread. */
export function setKafkaSide(side: KafkaSide): void {
  ofOtherThread = side
}
