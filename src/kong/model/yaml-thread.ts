/** The thread that reads large documents of YAML, so that requests are answered meanwhile. */
// biome-ignore lint/style/noRestrictedImports: threads are the runtime's own
import { parentPort, workerData } from 'node:worker_threads'
import type { YamlThreadAnswer } from './parse-in-thread.ts'
import { parseYaml } from './yaml.ts'

function answer(text: string): YamlThreadAnswer {
  try {
    return { value: parseYaml(text) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

parentPort?.postMessage(answer(workerData as string))
