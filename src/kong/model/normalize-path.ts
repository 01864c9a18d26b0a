/** Reserved characters: decoding one would change the meaning of a URL (RFC 3986, 2.2). */
const RESERVED = new Set(Array.from("!*'();:@&=+$,/?%#[]", (char) => char.charCodeAt(0)))
const ENCODED = /(?:%[0-9a-f]{2})+/gi

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Converts a path to the form in which Kong compares it: percent-encoding is removed where it is not
 * needed and in capitals elsewhere, `.` and `..` segments are resolved, repeated slashes become one.
 */
export function normalizePath(path: string): string {
  const decoded = path.includes('%') ? path.replace(ENCODED, decodeRun) : path
  if (!decoded.includes('.') && !decoded.includes('//')) return decoded
  return removeDotSegments(decoded)
}

function decodeRun(run: string): string {
  let text = ''
  let pending: number[] = []
  const flush = () => {
    text += decodeBytes(pending)
    pending = []
  }
  for (let at = 0; at < run.length; at += 3) {
    const byte = Number.parseInt(run.slice(at + 1, at + 3), 16)
    if (!RESERVED.has(byte)) pending.push(byte)
    else {
      flush()
      text += run.slice(at, at + 3).toUpperCase()
    }
  }
  flush()
  return text
}

/** Bytes that are not UTF-8 stay encoded: a JavaScript string has no other way to hold them. */
function decodeBytes(bytes: readonly number[]): string {
  try {
    return decoder.decode(Uint8Array.from(bytes))
  } catch {
    return bytes
      .map((byte) =>
        byte < 0x80
          ? String.fromCharCode(byte)
          : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
      )
      .join('')
  }
}

/** Removes `.` and `..` segments (RFC 3986, 5.2.4) from a path that begins with a slash. */
function removeDotSegments(path: string): string {
  const segments = path.split('/')
  const kept: string[] = []
  for (const segment of segments.slice(1)) {
    if (segment === '..') kept.pop()
    else if (segment !== '.' && segment !== '') kept.push(segment)
  }
  const last = segments.at(-1)
  const isFolder = last === '' || last === '.' || last === '..'
  return `/${kept.join('/')}${isFolder && kept.length > 0 ? '/' : ''}`
}
