/** YAML of a configuration, read in time and memory linear in its text. */
import { CORE_SCHEMA, loadAll, mergeTag, YAMLException } from 'js-yaml'

const schema = CORE_SCHEMA.withTags(mergeTag)
/** The most values of a document. A value that aliases repeat counts each time. */
const MAX_VALUES = 1_000_000

/**
 * @throws Error that says where the text is wrong, and repeats nothing of it: it may hold secrets.
 */
export function parseYaml(text: string): unknown {
  let documents: unknown[]
  try {
    documents = loadAll(text, { schema })
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    const { reason, mark } = error
    // A reason may quote the text, such as an alias or a tag.
    const place = mark ? ` at line ${mark.line + 1}, column ${mark.column + 1}` : ''
    throw new Error(`${reason.replace(/["'<].*["'>]/s, '…')}${place}`)
  }
  if (documents.length > 1) throw new Error('more than one document')
  const value = documents[0] ?? null
  if (countValues(value, new Map()) > MAX_VALUES) {
    throw new Error(`more than ${MAX_VALUES} values, with those that aliases repeat`)
  }
  return value
}

/** Counts the values within a value. Each is visited once, however often aliases repeat it. */
function countValues(value: unknown, known: Map<object, number>): number {
  if (typeof value !== 'object' || value === null) return 1
  const found = known.get(value)
  if (found !== undefined) return found
  // A value that contains itself has infinitely many values.
  known.set(value, Number.POSITIVE_INFINITY)
  let count = 1
  for (const each of Object.values(value)) count += countValues(each, known)
  known.set(value, count)
  return count
}
