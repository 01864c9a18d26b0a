/**
 * Filters in the Common Expression Language (https://github.com/google/cel-spec): compiled once,
 * and bounded in what they may cost, since anybody who may read may send one.
 */
import { Environment } from '@marcbachmann/cel-js'
import { RE2JS } from 're2js'
import { KafkaConsumeError } from '../core/errors.ts'
import { parseExact } from './exact-json.ts'
import { FIELDS, type RecordTest, type RecordView } from './record-view.ts'

/** Characters of an expression. */
const MAX_LENGTH = 4_096
const LIMITS = { maxAstNodes: 500, maxDepth: 50, maxListElements: 200, maxMapEntries: 100 }
/** States of the machine that a regular expression becomes. */
const MAX_REGEX = 1_000
/**
 * Steps that an expression may take for a record, besides one for each character of it. What costs most
 * for its steps, hours in named time zones, came to 0.2 ms for a record of 400 bytes, all else to
 * 0.05 to 0.12 ms.
 */
const MAX_STEPS = 2_000
/** Of a larger record no more characters count: one evaluation is not interrupted. */
const MAX_LENGTH_STEPS = 100_000
/** Expressions that are kept compiled. Overflow policy: the one that was not used for longest goes. */
const MAX_COMPILED = 500
/** Compilations after which the environment is made anew: it remembers every name that it was asked for. */
const MAX_REMEMBERED = 1_000

const compiled = new Map<string, Expression>()
let environment: Environment | undefined
let remembered = 0

/**
 * An expression that was used before, or a new one.
 *
 * @param text CEL over the fields of a record.
 * @throws KafkaConsumeError INVALID_PARAMETER, which tells where the mistake is.
 */
export function expressionOf(text: string): RecordTest {
  const expression = compiled.get(text) ?? new Expression(text)
  compiled.delete(text)
  compiled.set(text, expression)
  const [oldest] = compiled.keys()
  if (compiled.size > MAX_COMPILED) compiled.delete(oldest as string)
  return expression
}

/** A record passes where the expression is true; where it is false, fails or costs too much, not. */
class Expression implements RecordTest {
  readonly #evaluate: (context: RecordView['fields']) => unknown
  readonly #run = new Run()

  constructor(text: string) {
    if (text.length > MAX_LENGTH) {
      throw invalid(`it must have at most ${MAX_LENGTH} characters, and has ${text.length}`)
    }
    if (!environment || ++remembered > MAX_REMEMBERED) {
      environment = environmentOf()
      remembered = 0
    }
    try {
      const parsed = environment.parse(text)
      const checked = parsed.check()
      if (!checked.valid) throw checked.error
      if (checked.type !== 'bool' && checked.type !== 'dyn') {
        throw new Mistake(`it must be true or false, and is of type ${checked.type}`)
      }
      meter(parsed.ast as unknown as ExpressionNode, this.#run)
      this.#evaluate = parsed as unknown as (context: RecordView['fields']) => unknown
    } catch (error) {
      throw invalid(describe(error as Error, text))
    }
  }

  matches(view: RecordView): boolean {
    try {
      this.#run.begin(view)
      return this.#evaluate(view.fields) === true && !this.#run.isOver
    } catch {
      // A field that is not there, an operation on what it is not made for: no match.
      return false
    }
  }
}

function environmentOf(): Environment {
  const made = new Environment({ homogeneousAggregateLiterals: false, limits: LIMITS })
  for (const [name, type] of Object.entries(FIELDS)) made.registerVariable(name, type)
  // A number of JSON is a double, and a number in an expression is an int: they calculate together.
  const calculations: Record<string, (a: number, b: number) => number> = {
    '+': (a, b) => a + b,
    '-': (a, b) => a - b,
    '*': (a, b) => a * b,
    '/': (a, b) => a / b,
    '%': (a, b) => a % b,
  }
  for (const [operator, calculate] of Object.entries(calculations)) {
    const mixed = (a: number | bigint, b: number | bigint) => calculate(Number(a), Number(b))
    made.registerOperator(`double ${operator} int`, mixed)
    made.registerOperator(`int ${operator} double: double`, mixed)
  }
  made.registerOperator('double % double', (a: number, b: number) => a % b)
  made.registerFunction('json(string): dyn', parseExact)
  return made
}

/** One evaluation, and what it has cost. */
class Run {
  view: RecordView | undefined
  #left = 0

  begin(view: RecordView): void {
    this.view = view
    this.#left = MAX_STEPS + Math.min(view.length, MAX_LENGTH_STEPS)
  }

  /** What stops an evaluation may be caught within it, as by `||`: it is over all the same. */
  get isOver(): boolean {
    return this.#left < 0
  }

  spend(steps: number): void {
    this.#left -= steps
    if (this.#left < 0) throw TOO_COSTLY
  }
}

const TOO_COSTLY = new Error('the expression costs too much')

/** A node of the library's tree, as far as it is used here. */
interface ExpressionNode {
  readonly op: string
  readonly args: unknown
  readonly start?: number
  readonly meta: {
    readonly evaluate: Evaluate
    readonly alternate?: ExpressionNode
    readonly macro?: { evaluate: Evaluate }
  }
  evaluate: Evaluate
}
type Evaluate = (evaluator: Evaluator, node: unknown, context: unknown) => unknown

/** The library's evaluator, as far as it is used here. */
interface Evaluator {
  debugType(value: unknown): unknown
}

/**
 * An evaluator that takes the type of a value to be list or map, whatever is in it. The library's
 * own makes a type of all that lies within the first element or field, level by level, in a time that
 * grows by the square of the depth, and keeps each for ever: types of what records happen to hold.
 */
function shallow(evaluator: Evaluator): Evaluator {
  return Object.create(evaluator, {
    debugTypeDeep: { value: (value: unknown) => evaluator.debugType(value) },
  })
}

/**
 * Makes every node of a tree count what it costs. The library has limits of a tree's size and none
 * of the time that it takes, which macros within macros and growing texts make as long as one likes.
 */
function meter(root: ExpressionNode, run: Run): void {
  const visit = (value: unknown, parent: ExpressionNode | undefined, seen: Set<unknown>): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    const isNode = isNodeOf(root, value)
    if (isNode) {
      assertNameIsFree(value)
      // What macros become comes before the tree that they were written as.
      for (const child of [value.meta.alternate, value.meta.macro]) visit(child, value, seen)
    }
    for (const child of Object.values(value)) visit(child, isNode ? value : parent, seen)
    if (!isNode) return
    value.evaluate = metered(value, parent, run)
    // Errors that nobody reads would show the place in the text that they find by it, each time.
    Object.defineProperty(value, 'input', { value: undefined })
  }
  visit(root, undefined, new Set())
  const evaluate = root.evaluate
  let own: Evaluator | undefined
  root.evaluate = (evaluator, node, context) => {
    own ??= shallow(evaluator)
    return evaluate(own, node, context)
  }
}

function isNodeOf(root: ExpressionNode, value: object): value is ExpressionNode {
  return Object.getPrototypeOf(value) === Object.getPrototypeOf(root)
}

/** A variable of a macro that hides a field would change what the field's name means within it. */
function assertNameIsFree(node: ExpressionNode): void {
  const iterVarName = (node.args as { iterVarName?: string } | null)?.iterVarName
  const bound = (node.meta.macro as { var?: string } | undefined)?.var
  const name = [iterVarName, bound].find((name) => name !== undefined && name in FIELDS)
  if (name !== undefined) throw new Mistake(`the variable "${name}" is a field's name`, node)
}

function metered(node: ExpressionNode, parent: ExpressionNode | undefined, run: Run): Evaluate {
  const evaluate = unmetered(node, parent, run)
  // Comparing and counting look at all of a list or a map, other operations at a part.
  const isScanned = parent !== undefined && !SELECTIONS.has(parent.op)
  return (evaluator, _node, context) => {
    run.spend(1)
    let result: unknown
    try {
      result = evaluate(evaluator, node, context)
    } catch (error) {
      // Making one takes its time, and macros go on after it.
      run.spend(20)
      throw error
    }
    if (typeof result === 'string') {
      if (result.length > 256) run.spend(result.length >> 8)
    } else if (Array.isArray(result)) {
      run.spend(result.length >> 4)
    } else if (isScanned && typeof result === 'object' && result !== null) {
      run.spend((run.view as RecordView).length >> 6)
    }
    return result
  }
}

const SELECTIONS = new Set(['.', '[]', 'accuPush', '?:', '&&', '||'])

/** Functions that read a text, and what they cost. */
const PARSERS = new Map([
  ['timestamp', 15],
  ['duration', 15],
])

/** How a node is evaluated: as the library does, but for texts that are JSON and regular expressions. */
function unmetered(node: ExpressionNode, parent: ExpressionNode | undefined, run: Run): Evaluate {
  const { alternate, macro, evaluate } = node.meta
  if (alternate) {
    return (evaluator, _node, context) => alternate.evaluate(evaluator, alternate, context)
  }
  if (macro) return (evaluator, _node, context) => macro.evaluate(evaluator, macro, context)
  if (node.op === 'rcall') return receiverCall(node, run)
  if (node.op === 'map' && (node.args as unknown[]).length > 0) return mapLiteral(node)
  if (node.op === 'call') {
    const [name] = node.args as [string]
    return (evaluator, _node, context) => {
      run.spend(name === 'json' ? (run.view as RecordView).length >> 3 : (PARSERS.get(name) ?? 0))
      return evaluate(evaluator, node, context)
    }
  }
  const field = node.op === 'id' && (node.args === 'key' || node.args === 'value') && node.args
  if (field && parent && hasFields(parent, node)) {
    return () => (run.view as RecordView).jsonOf(field)
  }
  return evaluate
}

/** Whether a node's parent asks for its fields or elements: only JSON has some. */
function hasFields(parent: ExpressionNode, node: ExpressionNode): boolean {
  const { op, args } = parent
  if (op === '.' || op === '[]') return (args as unknown[])[0] === node
  if (op === 'in') return (args as unknown[])[1] === node
  return op === 'comprehension' && (args as { iterable: unknown }).iterable === node
}

/** The library makes an object of a map, and leaves out fields such as `constructor`. */
function mapLiteral(node: ExpressionNode): Evaluate {
  const entries = node.args as ReadonlyArray<readonly [ExpressionNode, ExpressionNode]>
  return (evaluator, _node, context) =>
    new Map(
      entries.map(([key, value]) => [
        key.evaluate(evaluator, key, context),
        value.evaluate(evaluator, value, context),
      ]),
    )
}

function receiverCall(node: ExpressionNode, run: Run): Evaluate {
  const [name, receiver, given] = node.args as [string, ExpressionNode, ExpressionNode[]]
  const [first] = given
  if (name === 'matches' && first) {
    const pattern = patternOf(first)
    return (evaluator, _node, context) => {
      const text = receiver.evaluate(evaluator, receiver, context)
      if (typeof text !== 'string') throw new Mistake('only a text can match', node)
      // RE2 takes linear time; how long for each character goes by the size of the expression.
      run.spend((text.length * pattern.programSize()) >> 6)
      return pattern.test(text)
    }
  }
  // With the name of a time zone the library asks for a date's text and reads it again.
  const cost = first && /^get[A-Z]/.test(name) ? 500 : 0
  return (evaluator, _node, context) => {
    run.spend(cost)
    const result = node.meta.evaluate(evaluator, node, context)
    if (name === 'split' && Array.isArray(result)) run.spend(result.length >> 2)
    return result
  }
}

function patternOf(node: ExpressionNode): RE2JS {
  if (node.op !== 'value' || typeof node.args !== 'string') {
    throw new Mistake('matches takes a regular expression in quotes', node)
  }
  let pattern: RE2JS
  try {
    pattern = RE2JS.compile(node.args)
  } catch {
    throw new Mistake(
      'it is no regular expression (RE2 has no look-around, no back reference)',
      node,
    )
  }
  if (pattern.programSize() > MAX_REGEX) {
    throw new Mistake('the regular expression is too large', node)
  }
  return pattern
}

/** What is wrong with an expression by our own rules, in the form of the library's errors. */
class Mistake extends Error {
  readonly summary: string
  readonly range: { readonly start: number } | undefined

  constructor(summary: string, node?: ExpressionNode) {
    super(summary)
    this.summary = summary
    this.range = node?.start === undefined ? undefined : { start: node.start }
  }
}

/** A mistake in words for whoever sent the expression. Some errors of the library say no more. */
function describe({ message, summary = message, range }: Partial<Mistake>, text: string): string {
  const state = (summary as string).replace(/\s+/g, ' ').slice(0, 200)
  return range ? `${state}, at character ${Math.min(range.start, text.length) + 1}` : state
}

function invalid(state: string): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_PARAMETER', `Cannot use parameter "filter": ${state}`)
}
