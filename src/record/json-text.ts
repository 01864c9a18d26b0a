/** Finds values in JSON text, where parsing would lose what the text has: the digits of numbers. */

/**
 * The text of each field of an object.
 *
 * @param text An object without spaces between tokens, as records are encoded.
 */
export function fieldTexts(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (let at = 1; at < text.length - 1; ) {
    const nameEnd = endOfValue(text, at)
    const end = endOfValue(text, nameEnd + 1)
    fields.set(JSON.parse(text.slice(at, nameEnd)) as string, text.slice(nameEnd + 1, end))
    at = end + 1
  }
  return fields
}

/** Where the value that begins at a place ends. */
function endOfValue(text: string, begin: number): number {
  let depth = 0
  for (let at = begin; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
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
      case 0x2c: // ,
        if (depth === 0) return at
    }
  }
  return text.length
}

/** Where a string's last quote is. */
function endOfString(text: string, begin: number): number {
  let at = begin + 1
  while (at < text.length && text.charCodeAt(at) !== 0x22)
    at += text.charCodeAt(at) === 0x5c ? 2 : 1
  return at
}
