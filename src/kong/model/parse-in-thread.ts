import { threadProgram } from '../../core/package-url.ts'

/** Milliseconds that a document may take: 8 Mi characters take some 3 s. */
const LIMIT_MS = 20_000

/** The one message of the thread. */
export type YamlThreadAnswer = { readonly value: unknown } | { readonly error: string }

/**
 * Reads a document in a thread of its own, which is ended after a time.
 *
 * @throws Error as `parseYaml` does.
 */
export async function parseInThread(text: string, limit = LIMIT_MS): Promise<unknown> {
  // biome-ignore lint/style/noRestrictedImports: threads are the runtime's own; loaded where YAML is large
  const { Worker } = await import('node:worker_threads')
  // Deno's type of URL differs from Node's.
  const program = threadProgram('src/kong/model/yaml-thread') as ConstructorParameters<
    typeof Worker
  >[0]
  const thread = new Worker(program, { workerData: text })
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
