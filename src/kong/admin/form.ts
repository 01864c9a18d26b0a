/**
 * A value of a form: a text, or an array or record that names such as `config.topics[1].name`
 * describe.
 */
export type FormValue = string | FormValue[] | { [field: string]: FormValue }

/** A form whose names contradict each other or are not valid. */
export class FormError extends Error {
  /** The name of the form's field. */
  readonly field: string

  constructor(field: string, error: string) {
    super(error)
    this.field = field
  }
}

/** The most fields of a form, as in Kong. */
const MAX_FIELDS = 1_000
const MAX_DEPTH = 32
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype'])

/** An array while a form is read: elements with an index, and elements that were appended. */
class ArrayNode {
  readonly indexed = new Map<number, FormNode>()
  readonly appended: string[] = []
}
class RecordNode {
  readonly fields = new Map<string, FormNode>()
}
type FormNode = string | ArrayNode | RecordNode

/** A step into a value: a field, an index from one, or the end of an array. */
type FormPathStep = { readonly field: string } | { readonly index: number } | 'append'

/**
 * Nests a form's fields as Kong does: `a.b=x` and `a[b]=x` are records, `a[1]=x` is an array,
 * counted from one and without gaps, and `a[]=x` appends. A name that comes twice is an array too.
 *
 * @throws FormError
 */
export function decodeForm(fields: Iterable<readonly [name: string, value: string]>): {
  [field: string]: FormValue
} {
  const root = new RecordNode()
  let count = 0
  for (const [name, value] of fields) {
    if (++count > MAX_FIELDS) throw new FormError('@entity', 'Too many arguments')
    put(root, steps(name), value, name)
  }
  return finish(root, '') as { [field: string]: FormValue }
}

/** The step for `[]` in the middle of a name: Kong reads `topics[].name` as `topics[1].name`. */
const FIRST = { index: 1 }
/** One step of a name; sticky, so that it continues where the last match ended. */
const STEP = /(?:^|\.)([^.[\]]+)|\[([^\]]*)\]/y

function steps(name: string): FormPathStep[] {
  const found: FormPathStep[] = []
  STEP.lastIndex = 0
  while (STEP.lastIndex < name.length) {
    const at = STEP.lastIndex
    const match = STEP.exec(name)
    if (!match || (at === 0 && !match[0].startsWith(match[1] ?? ' ')))
      throw new FormError(name, 'invalid name')
    if (found.length === MAX_DEPTH) throw new FormError(name, 'nested too deeply')
    found.push(step(match[1], match[2] ?? '', name))
  }
  if (found.length === 0) throw new FormError(name, 'invalid name')
  return found
}

function step(dotted: string | undefined, bracketed: string, name: string): FormPathStep {
  if (dotted === undefined) {
    if (bracketed === '') return 'append'
    if (/^-?\d+$/.test(bracketed)) return { index: Number(bracketed) }
  }
  const field = dotted ?? bracketed
  if (FORBIDDEN.has(field)) throw new FormError(name, 'unknown field')
  return { field }
}

function put(root: RecordNode, path: readonly FormPathStep[], value: string, name: string): void {
  let at: FormNode = root
  for (const [depth, here] of path.entries()) {
    const next = path[depth + 1]
    if (next === undefined) set(at, here, value, name)
    else at = enter(at, here === 'append' ? FIRST : here, next, name)
  }
}

/** The array or record that `here` leads to. It is created if it is missing. */
function enter(at: FormNode, here: FormPlace, next: FormPathStep, name: string): FormNode {
  const isArray = next === 'append' || 'index' in next
  const key = keyOf(here)
  const inner = children(at, here, name)
  const present = inner.get(key)
  if (present === undefined) {
    const made = isArray ? new ArrayNode() : new RecordNode()
    inner.set(key, made)
    return made
  }
  // `hosts=a` and `hosts[]=b` are one array.
  if (typeof present === 'string' && next === 'append') {
    const made = new ArrayNode()
    made.appended.push(present)
    inner.set(key, made)
    return made
  }
  if (isArray !== present instanceof ArrayNode || typeof present === 'string') throw clash(name)
  return present
}

function set(at: FormNode, here: FormPathStep, value: string, name: string): void {
  if (here === 'append') {
    if (!(at instanceof ArrayNode)) throw clash(name)
    at.appended.push(value)
    return
  }
  const key = keyOf(here)
  const inner = children(at, here, name)
  const present = inner.get(key)
  if (present === undefined) inner.set(key, value)
  else if ('index' in here) throw new FormError(name, 'given more than once')
  else if (present instanceof ArrayNode) present.appended.push(value)
  else if (present instanceof RecordNode) throw clash(name)
  else {
    const both = new ArrayNode()
    both.appended.push(present, value)
    inner.set(key, both)
  }
}

type FormPlace = Exclude<FormPathStep, 'append'>

function keyOf(place: FormPlace): string | number {
  return 'field' in place ? place.field : place.index
}

function children(at: FormNode, here: FormPlace, name: string): Map<string | number, FormNode> {
  const wantsField = 'field' in here
  if (wantsField && at instanceof RecordNode) return at.fields as Map<string | number, FormNode>
  if (!wantsField && at instanceof ArrayNode) return at.indexed as Map<string | number, FormNode>
  throw clash(name)
}

function clash(name: string): FormError {
  return new FormError(name, 'is given as a value, an array and a record at a time')
}

function finish(node: FormNode, name: string): FormValue {
  if (typeof node === 'string') return node
  if (node instanceof RecordNode) {
    const entries = [...node.fields].map(
      ([field, inner]) => [field, finish(inner, name === '' ? field : `${name}.${field}`)] as const,
    )
    return Object.fromEntries(entries)
  }
  const found: FormValue[] = []
  for (let index = 1; index <= node.indexed.size; index++) {
    const inner = node.indexed.get(index)
    if (inner === undefined) {
      throw new FormError(name, 'array indexes begin at 1 and leave none out')
    }
    found.push(finish(inner, `${name}[${index}]`))
  }
  return [...found, ...node.appended]
}
