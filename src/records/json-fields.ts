/** Finds values in JSON text, where parsing would lose what the text has: the digits of numbers. */

/**
 * The text of each field of an object, without the white space around it. A field that is given
 * several times has its last text, as by `JSON.parse`.
 *
 * @param text JSON of an object.
 */
export function fieldTexts(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  let at = skipSpace(text, skipSpace(text, 0) + 1)
  while (text.charCodeAt(at) === QUOTE) {
    const nameEnd = endOfValue(text, at)
    const begin = skipSpace(text, skipSpace(text, nameEnd) + 1)
    const end = endOfValue(text, begin)
    fields.set(JSON.parse(text.slice(at, nameEnd)) as string, text.slice(begin, end))
    at = skipSpace(text, skipSpace(text, end) + 1)
  }
  return fields
}

/**
 * How deep arrays and objects of a record may lie within one another where it becomes values of
 * JavaScript: runtimes read JSON of any depth, and then fail after a second on writing or comparing it.
 */
export const MAX_DEPTH = 1_000

/** Whether arrays and objects lie within one another deeper than {@link MAX_DEPTH}. */
export function isTooDeep(text: string): boolean {
  // Each level takes two characters at least.
  if (text.length <= 2 * MAX_DEPTH) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > MAX_DEPTH) return true
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
    }
  }
  return false
}

const QUOTE = 0x22

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function skipSpace(text: string, begin: number): number {
  let at = begin
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

/** Where the value that begins at a place ends; that place is not white space. */
function endOfValue(text: string, begin: number): number {
  let depth = 0
  for (let at = begin; at < text.length; at++) {
    const code = text.charCodeAt(at)
    switch (code) {
      case QUOTE:
        at = endOfString(text, at)
        if (depth === 0) return at + 1
        break
      case 0x5b: // [
      case 0x7b: // {
        depth++
        break
      case 0x5d: // ]
      case 0x7d: // }
        if (depth === 0) return at
        if (--depth === 0) return at + 1
        break
      default:
        if (depth === 0 && (code === 0x2c || isSpace(code))) return at
    }
  }
  return text.length
}

/** Where a string's last quote is. */
function endOfString(text: string, begin: number): number {
  let at = begin + 1
  while (at < text.length && text.charCodeAt(at) !== QUOTE)
    at += text.charCodeAt(at) === 0x5c ? 2 : 1
  return at
}
