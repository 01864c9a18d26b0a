/** Longer paths match no regular expression: what a pattern costs grows with the path. */
const MAX_PATH = 1_024
const MAX_PATTERN = 1_024
/** Repeats that may each run over slashes; each more is another power of the path's length. */
const MAX_WIDE_REPEATS = 3

/** A regular expression for paths, or why it is none that can be served. */
export type PathPattern =
  | {
      readonly matches: (path: string) => boolean
      /** What every path that matches begins with: an index needs no more. */
      readonly prefix: string
      readonly problem?: undefined
    }
  | { readonly problem: string; readonly matches?: undefined }

/**
 * Compiles what follows the `~` of a path. It is anchored at the path's beginning and not at its
 * end, as in Kong. Kong stops a match after 10,000 steps; JavaScript's engine has no such limit, so
 * patterns that can take exponentially many are refused.
 */
export function compilePathPattern(source: string): PathPattern {
  if (source.length > MAX_PATTERN) {
    return { problem: `invalid regex: more than ${MAX_PATTERN} characters` }
  }
  const { pattern, flags } = fromPcre(source)
  let regex: RegExp
  try {
    regex = new RegExp(`^(?:${pattern})`, flags)
  } catch {
    return { problem: `invalid regex: '${source}' does not compile` }
  }
  const problem = explosion(pattern)
  if (problem) return { problem: `invalid regex: '${source}' ${problem}` }
  const prefix = flags === '' ? literalPrefix(pattern) : ''
  return { prefix, matches: (path) => path.length <= MAX_PATH && regex.test(path) }
}

function literalPrefix(pattern: string): string {
  if (pattern.includes('|')) return ''
  const [literal = ''] = /^[\w/~%-]*/.exec(pattern) ?? []
  // What is repeated may be absent.
  return /^[*?{]/.test(pattern.slice(literal.length)) ? literal.slice(0, -1) : literal
}

/** The spellings of PCRE that JavaScript has under another name. */
function fromPcre(source: string): { pattern: string; flags: string } {
  const insensitive = source.startsWith('(?i)')
  const pattern = (insensitive ? source.slice(4) : source)
    .replaceAll('(?P<', '(?<')
    .replaceAll('\\A', '^')
    .replaceAll('\\z', '$')
    .replaceAll('\\h', '[ \\t]')
  return { pattern, flags: insensitive ? 'i' : '' }
}

/** A group as far as it matters: what of it repeats without limit. */
interface Group {
  /** Whether it holds a repeat or alternatives: several ways to match the same text. */
  ambiguous: boolean
  readonly atoms: string[]
}

/**
 * Why a pattern may take exponential time, or undefined. An unlimited repeat of a group that can
 * match the same text in several ways is refused, unless a separator tells its iterations apart, as
 * in `(/[^/]+)*`.
 */
function explosion(pattern: string): string | undefined {
  const token =
    /\\(?:[pP]\{[^}]*\}|u[0-9a-f]{4}|x[0-9a-f]{2}|k<[^>]*>|.)|\[(?:\\.|[^\]\\])*\]|\(\?(?:<[=!]|<[^>]*>|[:=!])|[()|]|[^\\[\]()|]/giy
  const quantifier = /(?:[*+?]|\{(\d+)(,?)(\d*)\})\??/y
  const stack: Group[] = [{ ambiguous: false, atoms: [] }]
  let wide = 0
  let at = 0
  while (at < pattern.length) {
    token.lastIndex = at
    const text = token.exec(pattern)?.[0]
    if (text === undefined) return 'cannot be read'
    at += text.length
    const group = stack.at(-1) as Group
    if (text.startsWith('(')) {
      stack.push({ ambiguous: false, atoms: [] })
      continue
    }
    if (text === '|') {
      group.ambiguous = true
      group.atoms.push('|')
      continue
    }
    quantifier.lastIndex = at
    const repeat = quantifier.exec(pattern)
    if (repeat) at += repeat[0].length
    const unlimited = repeat !== null && exceeds(repeat, text === ')' ? 3 : 64)
    const closed = text === ')' ? stack.pop() : undefined
    const outer = stack.at(-1)
    if (!outer) return 'cannot be read'
    if (closed) {
      if (unlimited && closed.ambiguous && !isSeparated(closed)) {
        return 'repeats a group that can match the same text in several ways'
      }
      outer.ambiguous ||= closed.ambiguous || isVariable(repeat)
      outer.atoms.push('()', ...closed.atoms)
      continue
    }
    if (/^\\\d|^\\k/.test(text)) return 'has a back reference'
    outer.atoms.push(repeat ? `${text}${repeat[0]}` : text)
    outer.ambiguous ||= isVariable(repeat)
    if (unlimited && canMatch(text, '/')) wide += 1
  }
  if (wide > MAX_WIDE_REPEATS) {
    return `has more than ${MAX_WIDE_REPEATS} unlimited repeats that match slashes`
  }
  return undefined
}

/** Whether a repeat leaves open how often: `{4}` does not. */
function isVariable(repeat: RegExpExecArray | null): boolean {
  return repeat !== null && !/^\{\d+\}/.test(repeat[0])
}

/** Whether a repeat may go on longer than so often. */
function exceeds([text, min, comma, max]: RegExpExecArray, limit: number): boolean {
  if (min === undefined) return !text.startsWith('?')
  return (comma === ',' && max === '') || Number(max || min) > limit
}

/** Whether each iteration of a group begins or ends with a character that is nowhere else in it. */
function isSeparated({ atoms }: Group): boolean {
  const isSeparator = (atom: string | undefined, rest: readonly string[]) => {
    if (atom === undefined || !/^(?:[^\\[.^$|()*+?{}]|\\[^\w])$/.test(atom)) return false
    const separator = atom.at(-1) as string
    return rest.every((each) => each !== '|' && each !== '()' && !canMatch(bare(each), separator))
  }
  return isSeparator(atoms[0], atoms.slice(1)) || isSeparator(atoms.at(-1), atoms.slice(0, -1))
}

function bare(atom: string): string {
  return atom.replace(/(?<=.)(?:[*+?]|\{\d+,?\d*\})\??$/s, '')
}

/** Whether one atom of a pattern can match one character. */
function canMatch(atom: string, character: string): boolean {
  try {
    return new RegExp(`^(?:${atom})$`).test(character)
  } catch {
    return true
  }
}
