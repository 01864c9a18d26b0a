/**
 * Parses a declarative document, YAML or JSON. Large YAML is parsed in a thread of its own, since
 * it takes long.
 */
import { parseYaml } from './yaml.ts'

/** Characters of a document at most: reading takes up to a microsecond and some 100 bytes for each. */
const MAX_CHARACTERS = 8 * 1024 * 1024
/** YAML of more characters is read in a thread of its own: this many take some 20 ms. */
const MAX_AT_ONCE = 32 * 1024

/** @throws Error that says where the text is wrong. */
export async function parseText(text: string, format: 'yaml' | 'json'): Promise<unknown> {
  if (format === 'json' || text.length <= MAX_AT_ONCE) return parseAtOnce(text, format)
  assertSize(text)
  const { parseInThread } = await import('./yaml-thread.ts')
  return parseInThread(text)
}

/**
 * Reads a text on this thread, as suits a file of the operator's.
 *
 * @throws Error that says where the text is wrong.
 */
export function parseAtOnce(text: string, format: 'yaml' | 'json'): unknown {
  assertSize(text)
  return format === 'json' ? JSON.parse(text) : parseYaml(text)
}

function assertSize({ length }: string): void {
  if (length > MAX_CHARACTERS) {
    throw new Error(`more than ${MAX_CHARACTERS / 1024 / 1024} Mi characters`)
  }
}
