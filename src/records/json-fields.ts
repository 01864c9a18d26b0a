/** Finds values in JSON text, because parsing would lose the digits of numbers. */

const QUOTE = 0x22
const COMMA = 0x2c
const BRACKET = 0x5b
const CLOSING_BRACKET = 0x5d
const BRACE = 0x7b
const CLOSING_BRACE = 0x7d

/**
 * The text of each field of an object, without the white space around it. For a repeated field the
 * last text counts, as by `JSON.parse`.
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
 * How deep arrays and objects of a record may be nested when it becomes a JavaScript value: runtimes
 * parse JSON of any depth, and then fail after a second on writing or comparing it.
 */
export const MAX_DEPTH = 1_000

/** Whether arrays and objects are nested deeper than {@link MAX_DEPTH}. */
export function isTooDeep(text: string): boolean {
  // Each level takes at least two characters.
  if (text.length <= 2 * MAX_DEPTH) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case BRACKET:
      case BRACE:
        if (++depth > MAX_DEPTH) return true
        break
      case CLOSING_BRACKET:
      case CLOSING_BRACE:
        depth--
    }
  }
  return false
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function skipSpace(text: string, begin: number): number {
  let at = begin
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

/** The index after the value that begins at an index, which is not white space. */
function endOfValue(text: string, begin: number): number {
  const first = text.charCodeAt(begin)
  if (first === QUOTE) return endOfString(text, begin) + 1
  return first === BRACKET || first === BRACE ? endOfNested(text, begin) : endOfScalar(text, begin)
}

/** The index after an array or an object. */
function endOfNested(text: string, begin: number): number {
  let depth = 0
  for (let at = begin; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case BRACKET:
      case BRACE:
        depth++
        break
      case CLOSING_BRACKET:
      case CLOSING_BRACE:
        if (--depth === 0) return at + 1
    }
  }
  return text.length
}

/** The index after a number, `true`, `false` or `null`. */
function endOfScalar(text: string, begin: number): number {
  let at = begin
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at++
  return at
}

function endsScalar(code: number): boolean {
  return code === COMMA || code === CLOSING_BRACKET || code === CLOSING_BRACE || isSpace(code)
}

/** The index of a string's last quote. */
function endOfString(text: string, begin: number): number {
  let at = begin + 1
  while (at < text.length && text.charCodeAt(at) !== QUOTE)
    at += text.charCodeAt(at) === 0x5c ? 2 : 1
  return at
}
