/** The thread that reads large documents of YAML, so that requests are answered meanwhile. */
import { parseYaml } from './yaml.ts'

/** Milliseconds that a document may take: 8 Mi characters take some 3 s. */
const LIMIT_MS = 20_000

/** The data that a thread is started with. Its `kind` tells the thread that it parses YAML. */
interface YamlThreadData {
  readonly kind: 'yaml'
  readonly text: string
}

type YamlThreadAnswer = { readonly value: unknown } | { readonly error: string }

// biome-ignore lint/style/noRestrictedImports: threads are the runtime's own; loaded where YAML is large
const { isMainThread, parentPort, Worker, workerData } = await import('node:worker_threads')

if (!isMainThread && parentPort && (workerData as YamlThreadData | null)?.kind === 'yaml') {
  parentPort.postMessage(answer((workerData as YamlThreadData).text))
}

function answer(text: string): YamlThreadAnswer {
  try {
    return { value: parseYaml(text) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * Reads a document in a thread of its own, which is ended after a time.
 *
 * @throws Error as {@link parseYaml} does.
 */
export async function parseInThread(text: string, limit = LIMIT_MS): Promise<unknown> {
  const workerData: YamlThreadData = { kind: 'yaml', text }
  // Deno's type of URL differs from Node's.
  const program = new URL(import.meta.url) as ConstructorParameters<typeof Worker>[0]
  const thread = new Worker(program, { workerData })
  const { promise, resolve, reject } = Promise.withResolvers<YamlThreadAnswer>()
  const late = setTimeout(() => reject(new Error(`it takes more than ${limit} ms to read`)), limit)
  thread.on('message', resolve).on('error', reject)
  thread.on('exit', () => reject(new Error('the thread that reads it ended')))
  try {
    const answer = await promise
    if ('error' in answer) throw new Error(answer.error)
    return answer.value
  } finally {
    clearTimeout(late)
    await thread.terminate()
  }
}
