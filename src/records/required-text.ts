/**
 * Conditions on the JSON of a record that each record meets for which an expression is true. A record
 * without the required texts need not be parsed, which costs a hundred times as much.
 *
 * JSON may spell a character in several ways, and a value that is JSON in a text is escaped twice. So a
 * required text has only characters that have no short escape such as `\n` or `\/`, and a record meets
 * the condition, too, where an escape such as `\u0041` could stand for one of them. However deeply
 * texts are nested in texts, such an escape has `\u` and its digits in the outer JSON: if one of these
 * characters is escaped itself, that makes another such escape.
 */
import type { SyntaxNode } from './expression-anchor.ts'
import type { FIELDS } from './record-view.ts'

/** The most texts of which one must occur: to search for more takes as long as parsing. */
const MAX_ALTERNATIVES = 8
/** The most conditions of an expression, since each of them searches the record. */
const MAX_CONDITIONS = 4

/** A text that occurs in each record, perhaps with other upper and lower case. */
interface Literal {
  readonly text: string
  readonly isFolded: boolean
}

/** Texts of which each record has at least one. */
type Alternatives = readonly Literal[]

/** How the value of an expression is made of a record's JSON. */
type Origin = 'exact' | 'folded' | undefined

/** Names of variables that stand for a part of a record's JSON. */
type Variables = ReadonlySet<string>

/** The fields whose values stand in the JSON of a record from its key on. */
const CONTENT: Variables = new Set<keyof typeof FIELDS>(['key', 'value', 'headers'])

/**
 * The conditions, each of which the JSON of a passing record meets, from the key on. An empty list
 * where the expression implies none.
 *
 * @param root The expression, of which all parts are known.
 */
export function requiredTexts(root: SyntaxNode): readonly RegExp[] {
  return conditionsOf(root, CONTENT)
    .slice(0, MAX_CONDITIONS)
    .map((alternatives) => new RegExp([...new Set(alternatives.flatMap(patternsOf))].join('|')))
}

function conditionsOf(node: SyntaxNode, variables: Variables): Alternatives[] {
  switch (node.op) {
    case '&&':
      return (node.args as SyntaxNode[]).flatMap((part) => conditionsOf(part, variables))
    case '||':
      return eitherOf((node.args as SyntaxNode[]).map((part) => conditionsOf(part, variables)))
    case '==': {
      const [left, right] = node.args as [SyntaxNode, SyntaxNode]
      return oneOf(right, [left], variables) ?? oneOf(left, [right], variables) ?? []
    }
    case 'in':
      return conditionsOfIn(node.args as [SyntaxNode, SyntaxNode], variables)
    case 'rcall':
      return conditionsOfCall(node.args as [string, SyntaxNode, SyntaxNode[]], variables)
    default:
      return []
  }
}

/** The conditions of parts of which one is true: a record meets one condition of that part. */
function eitherOf(parts: readonly Alternatives[][]): Alternatives[] {
  const chosen = parts.map((conditions) => longest(conditions))
  const isComplete = chosen.every((alternatives) => alternatives !== undefined)
  return isComplete ? condition(chosen.flat()) : []
}

/** The condition that fewest records are likely to meet. */
function longest(conditions: readonly Alternatives[]): Alternatives | undefined {
  const lengthOf = (literals: Alternatives) => Math.min(...literals.map(({ text }) => text.length))
  return conditions.toSorted((a, b) => lengthOf(b) - lengthOf(a))[0]
}

function conditionsOfIn([item, list]: [SyntaxNode, SyntaxNode], variables: Variables) {
  if (list.op === 'list') return oneOf(item, list.args as SyntaxNode[], variables) ?? []
  // An element of a list of the record, or the name of a field.
  return oneOf(list, [item], variables) ?? []
}

function conditionsOfCall(
  [name, receiver, given]: [string, SyntaxNode, SyntaxNode[]],
  variables: Variables,
): Alternatives[] {
  const [first, body] = given
  switch (name) {
    case 'contains':
    case 'startsWith':
    case 'endsWith':
      return (given.length === 1 && oneOf(receiver, given, variables)) || []
    case 'exists':
    case 'exists_one': {
      if (given.length !== 2 || first?.op !== 'id' || !body) return []
      const variable = new Set([first.args as string])
      const isOfRecord = originOf(receiver, variables) === 'exact'
      const inner = isOfRecord ? variables.union(variable) : variables.difference(variable)
      return conditionsOf(body, inner)
    }
    default:
      return []
  }
}

/**
 * The condition that a record has one of some constants.
 *
 * @param source The value that has it, if that is a part of the record.
 */
function oneOf(
  source: SyntaxNode,
  constants: readonly SyntaxNode[],
  variables: Variables,
): Alternatives[] | undefined {
  const origin = originOf(source, variables)
  if (!origin) return undefined
  const literals = constants.map(({ op, args }) =>
    op === 'value' && typeof args === 'string' ? literalOf(args, origin === 'folded') : undefined,
  )
  return literals.every((literal) => literal !== undefined) ? condition(literals) : undefined
}

function condition(literals: Alternatives): Alternatives[] {
  return literals.length > 0 && literals.length <= MAX_ALTERNATIVES ? [literals] : []
}

/** How the value of a node is made of a record's JSON; undefined where it is made of other things, too. */
function originOf({ op, args }: SyntaxNode, variables: Variables): Origin {
  switch (op) {
    case 'id':
      return variables.has(args as string) ? 'exact' : undefined
    case '.':
    case '[]': {
      const [parent] = args as [SyntaxNode]
      return originOf(parent, variables) === 'exact' ? 'exact' : undefined
    }
    case 'call': {
      const [name, [given]] = args as [string, SyntaxNode[]]
      return name === 'text' && given && hasOwnText(given) ? 'exact' : undefined
    }
    case 'rcall': {
      const [name, receiver] = args as [string, SyntaxNode]
      const origin =
        name === 'lowerAscii' || name === 'trim' ? originOf(receiver, variables) : undefined
      return origin && name === 'lowerAscii' ? 'folded' : origin
    }
    default:
      return undefined
  }
}

/** Whether the record has the JSON that `text` gives of a value, which is not made of parsed JSON. */
function hasOwnText({ op, args }: SyntaxNode): boolean {
  if (op === 'id') return CONTENT.has(args as string)
  const parent = op === '.' || op === '[]' ? (args as [SyntaxNode])[0] : undefined
  return parent?.op === 'id' && parent.args === 'headers'
}

/** The characters that JSON may spell by a short escape. */
const ESCAPED = /["\\/\p{Cc}]+/u

/** The longest part of a text that JSON spells in one way, except for escapes with `\u`. */
function literalOf(constant: string, isFolded: boolean): Literal | undefined {
  const [text = ''] = constant.split(ESCAPED).sort((a, b) => b.length - a.length)
  return text === '' ? undefined : { text, isFolded }
}

/** The regular expressions of which a record matches one. */
function patternsOf({ text, isFolded }: Literal): string[] {
  const units = Array.from({ length: text.length }, (_, at) => text.charAt(at))
  const isAscii = units.every((unit) => unit < '\x80')
  // K and İ become ASCII in lower case.
  const escapes = isFolded ? ['\\\\u00[0-7]', '\\\\u212[aA]', '\\\\u0130'] : ['\\\\u00[0-7]']
  return [
    units.map(isFolded ? foldedPattern : escaped).join(''),
    ...(isAscii ? escapes : ['\\\\u']),
  ]
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** A character of a text in lower case as a record may have it. */
function foldedPattern(unit: string): string {
  // Two characters stand for the lower case of "İ", of which this is the second.
  if (unit === '\u0307') return '\\u0307?'
  // Letters beyond 16 bits are pairs of surrogates.
  if (/[\ud800-\udfff]/.test(unit)) return '[\\ud800-\\udfff]'
  upperCases ??= upperCasesOf()
  const found = [unit, ...(upperCases.get(unit) ?? [])].map(escaped)
  return found.length === 1 ? (found[0] as string) : `[${found.join('')}]`
}

/** The characters of 16 bits that have a character in their lower case, besides itself. */
let upperCases: Map<string, string[]> | undefined

function upperCasesOf(): Map<string, string[]> {
  const found = new Map<string, string[]>()
  const add = (lower: string, unit: string) => found.set(lower, [...(found.get(lower) ?? []), unit])
  for (let code = 0; code < 0xd800; code++) addLowerCase(String.fromCharCode(code), add)
  for (let code = 0xe000; code <= 0xffff; code++) addLowerCase(String.fromCharCode(code), add)
  // At the end of a word, the lower case of a sigma is another character.
  for (const unit of found.get('σ') ?? []) add('ς', unit)
  return found
}

function addLowerCase(unit: string, add: (lower: string, unit: string) => void): void {
  const lower = unit.toLowerCase()
  if (lower !== unit) for (const each of lower) add(each, unit)
}
