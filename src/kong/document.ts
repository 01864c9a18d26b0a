import { parseDocument } from 'yaml'

/** Characters of a file at most: parsing takes some microseconds and some 100 bytes for each. */
const MAX_CHARACTERS = 8 * 1024 * 1024
/** How often the content of YAML's anchors may be repeated in all. */
const MAX_ALIASES = 1_000

/** @throws Error that says where the text is wrong. */
export function parseText(text: string, format: 'yaml' | 'json'): unknown {
  if (text.length > MAX_CHARACTERS) {
    throw new Error(`more than ${MAX_CHARACTERS / 1024 / 1024} Mi characters`)
  }
  if (format === 'json') return JSON.parse(text)
  try {
    const document = parseDocument(text, { merge: true, prettyErrors: true })
    const [error] = document.errors
    // The rest of the message repeats lines of the file, in which secrets may stand.
    if (error) throw new Error(error.message.split('\n')[0]?.replace(/:$/, ''))
    return document.toJS({ maxAliasCount: MAX_ALIASES })
  } catch (error) {
    if (error instanceof RangeError) throw new Error('nested too deeply', { cause: error })
    throw error
  }
}
