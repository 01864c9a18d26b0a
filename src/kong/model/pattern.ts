/**
 * Regular expressions of a configuration, in RE2's syntax: they take linear time and bounded memory.
 */
import { RE2JS } from 're2js'
import { LruMap } from '../../core/lru-map.ts'

/** The most characters of an expression. */
const MAX_SOURCE = 1_024
/** The most states of a compiled expression: each character of a text costs as many steps. */
const MAX_STATES = 500
/** The most states by our estimate, which is rough: below this the compiler counts exactly. */
const MAX_ESTIMATE = 8 * MAX_STATES
/** Longer texts match no expression. 1,024 characters take the worst expression some 30 ms. */
export const MAX_TEXT = 1_024
/**
 * The most bytes, by the engine's own estimate, that all expressions together may cache about the
 * texts that they have tested. Overflow policy: all caches are dropped, and an expression is compiled
 * again with its next use.
 */
const MAX_MEMORY_BYTES = 32 * 1024 * 1024
/** The most checked expressions that are cached. Overflow policy: {@link LruMap}'s. */
const MAX_CACHED = 20_000

/** Syntax of PCRE that engines of linear time lack. RE2's own messages do not name it. */
const UNSUPPORTED: ReadonlyArray<readonly [RegExp, string]> = [
  [/\(\?<?[=!]/, 'has a look-around'],
  [/\\(?:[1-9]|k[<{'])|\(\?P=/, 'has a back reference'],
  [/\(\?>/, 'has an atomic group'],
  [/[*+?}]\+/, 'has a possessive quantifier'],
]

/** A checked expression, or why it cannot be served. */
export type CheckedPattern = Pattern | { readonly error: string; readonly test?: undefined }

/** How much of a text an expression must match. Default: any part. */
export type Anchor = 'start' | 'whole' | undefined

const cached = new LruMap<string, CheckedPattern>(MAX_CACHED)

/**
 * Checks an expression in RE2's syntax, plus `\h`.
 *
 * @param source The expression as the configuration has it, without the anchor.
 * @param isCaseInsensitive Default: false.
 */
export function checkPattern(
  source: string,
  anchor?: Anchor,
  isCaseInsensitive = false,
): CheckedPattern {
  const key = `${anchor} ${isCaseInsensitive} ${source}`
  const known = cached.get(key)
  if (known) return known
  const checked = check(source, anchor, isCaseInsensitive)
  cached.set(key, checked)
  return checked
}

function check(source: string, anchor: Anchor, isCaseInsensitive: boolean): CheckedPattern {
  if (source.length > MAX_SOURCE) {
    return { error: `invalid regex: more than ${MAX_SOURCE} characters` }
  }
  const text = source.replaceAll('\\h', '[\\t ]')
  const error = errorOf(source, text)
  if (error !== undefined) return { error: `invalid regex: '${source}' ${error}` }
  const begin = anchor === undefined ? '' : '^'
  const end = anchor === 'whole' ? '$' : ''
  const flags = isCaseInsensitive ? RE2JS.CASE_INSENSITIVE : 0
  return new Pattern(`${begin}(?:${text})${end}`, flags)
}

function errorOf(source: string, text: string): string | undefined {
  const tooLarge = `is too large: it becomes more than ${MAX_STATES} states`
  // Compiling takes a microsecond for each state: 1,024 characters can become 160,000 of them.
  if (estimateStates(text) > MAX_ESTIMATE) return tooLarge
  try {
    // Compiled without the anchors first: their group must not complete an incomplete expression.
    return RE2JS.compile(text).programSize() > MAX_STATES ? tooLarge : undefined
  } catch (error) {
    return reason(source, error as Error)
  }
}

/** Estimates the states of an expression: its characters, times their repeats. */
function estimateStates(text: string): number {
  const tokens = /\\.|\[(?:\\.|[^\]\\])*\]|\{(\d+)(?:,(\d*))?\}|./gs
  const groups = [0]
  let last = 0
  for (const [token, least, most] of text.matchAll(tokens)) {
    const inner = token === ')' && groups.length > 1 ? groups.pop() : undefined
    const outer = groups.length - 1
    if (token === '(') groups.push(0)
    else if (least !== undefined) {
      const repeated = last * Math.max(1, Number(most || least))
      groups[outer] = (groups[outer] as number) - last + repeated
      last = repeated
    } else {
      last = inner ?? 1
      groups[outer] = (groups[outer] as number) + last
    }
  }
  return groups.reduce((sum, each) => sum + each)
}

function reason(source: string, { message }: Error): string {
  const unsupported = UNSUPPORTED.find(([syntax]) => syntax.test(source))
  if (unsupported) return `${unsupported[1]}, which RE2 (expressions of linear time) does not have`
  return `does not compile: ${message.replace(/^error parsing regexp: /, '')}`
}

/** The caches of all expressions. A new generation drops them. */
const memory = { bytes: 0, generation: 0 }

/** The bytes that the caches of all expressions have now, by the engine's own estimate. */
export function rememberedBytes(): number {
  return memory.bytes
}

/** A regular expression whose test takes time linear in the text. */
export class Pattern {
  readonly error = undefined
  readonly #source: string
  readonly #flags: number
  #compiled: RE2JS | undefined
  #generation = 0
  #bytes = 0

  constructor(source: string, flags: number) {
    this.#source = source
    this.#flags = flags
  }

  test(text: string): boolean {
    if (text.length > MAX_TEXT) return false
    if (!this.#compiled || this.#generation !== memory.generation) {
      this.#compiled = RE2JS.compile(this.#source, this.#flags)
      this.#generation = memory.generation
      this.#bytes = 0
    }
    const matches = this.#compiled.test(text)
    this.#account(this.#compiled)
    return matches
  }

  #account(compiled: RE2JS): void {
    const engine = compiled.re2()
    // A one-pass expression has no cache.
    if (engine.onepass !== null) return
    const { stateBudget, memBudget } = engine.dfa
    const bytes = stateBudget - memBudget
    memory.bytes += bytes - this.#bytes
    this.#bytes = bytes
    if (memory.bytes <= MAX_MEMORY_BYTES) return
    memory.bytes = 0
    memory.generation++
  }
}
