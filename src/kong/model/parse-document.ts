/**
 * Parses a declarative document, YAML or JSON. Large YAML is parsed in a thread of its own, since
 * it takes long.
 */
import { parseInThread } from './parse-in-thread.ts'
import { parseYaml } from './yaml.ts'

/** The most characters of a document: parsing takes up to 1 µs and some 100 bytes for each. */
const MAX_CHARACTERS = 8 * 1024 * 1024
/** The most characters of YAML that are parsed on this thread: they take some 20 ms. */
const MAX_AT_ONCE = 32 * 1024

/** @throws Error that says where the text is wrong. */
export async function parseText(text: string, format: 'yaml' | 'json'): Promise<unknown> {
  if (format === 'json' || text.length <= MAX_AT_ONCE) return parseAtOnce(text, format)
  assertSize(text)
  return parseInThread(text)
}

/**
 * Parses a text on this thread. It is for files of the operator, which are read before requests come.
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
