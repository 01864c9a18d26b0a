/** The pages of the protocol: what they show is held to the code. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const docs = join(import.meta.dirname, '../../docs')
const NAMES = [
  'protocol',
  'reading',
  'streams',
  'websocket',
  'records',
  'positions',
  'writing',
  'authentication',
  'operations',
] as const

/** The text of one page, or of all of them in the order of the index. */
export function readProtocol(...names: (typeof NAMES)[number][]): string {
  const chosen = names.length > 0 ? names : NAMES
  return chosen.map((name) => readFileSync(join(docs, `${name}.md`), 'utf8')).join('\n')
}
