/**
 * Filters in the Common Expression Language (https://github.com/google/cel-spec). An expression is
 * compiled once, and its cost is limited, since every client may send one.
 */
import type { Environment } from '@marcbachmann/cel-js'
import type { RE2JS } from 're2js'
import { KafkaConsumeError } from '../core/errors.ts'
import { LruMap } from '../core/lru-map.ts'
import { packages } from '../core/packages.ts'
import { exactJson, parseExact } from './exact-json.ts'
import { anchorOf, canonicalText, type FilterAnchor } from './expression-anchor.ts'
import { FIELDS, type RecordTest, type RecordView } from './record-view.ts'
import { requiredTexts } from './required-text.ts'

/** The most characters of an expression. */
const MAX_LENGTH = 4_096
const LIMITS = { maxAstNodes: 500, maxDepth: 50, maxListElements: 200, maxMapEntries: 100 }
/** The most states of a compiled regular expression. */
const MAX_REGEX_STATES = 1_000
/**
 * The most steps of an evaluation, besides one for each character of the record. With a record of 400
 * bytes these steps take 0.05 to 0.12 ms, and 0.2 ms for hours in named time zones.
 */
const MAX_STEPS = 2_000
/** The most characters of a record that allow a step each, since an evaluation is not interrupted. */
const MAX_LENGTH_STEPS = 100_000
/** The most expressions that stay compiled. Overflow policy: {@link LruMap}'s. */
const MAX_COMPILED = 500
/** The compilations after which the environment is replaced: it keeps each name that it has looked up. */
const MAX_COMPILATIONS = 1_000

const expressions = new LruMap<string, Expression>(MAX_COMPILED)
let environment: Environment | undefined
let compilations = 0

/**
 * Compiles an expression, or returns the compiled one.
 *
 * @param text CEL over the fields of a record.
 * @throws KafkaConsumeError INVALID_PARAMETER, which names the position of the error.
 */
export function expressionOf(text: string): Expression {
  const known = expressions.get(text)
  if (known) return known
  const expression = new Expression(text)
  expressions.set(text, expression)
  return expression
}

/** A compiled expression. A record passes only if it is true, not if it fails or costs too much. */
export class Expression implements RecordTest {
  /** Equal for expressions that differ in spaces, quotes and parentheses only. */
  readonly canonical: string
  /** An equality that the expression implies, if it has one. */
  readonly anchor: FilterAnchor | undefined
  readonly required: readonly RegExp[]
  readonly #evaluate: (context: RecordView['fields']) => unknown
  readonly #budget = new StepBudget()

  constructor(text: string) {
    if (text.length > MAX_LENGTH) {
      throw invalid(`it must have at most ${MAX_LENGTH} characters, and has ${text.length}`)
    }
    if (!environment || ++compilations > MAX_COMPILATIONS) {
      environment = environmentOf()
      compilations = 0
    }
    try {
      const parsed = environment.parse(text)
      const checked = parsed.check()
      if (!checked.valid) throw checked.error
      if (checked.type !== 'bool' && checked.type !== 'dyn') {
        throw new InvalidExpression(`it must be true or false, and is of type ${checked.type}`)
      }
      const root = parsed.ast as unknown as ExpressionNode
      this.anchor = anchorOf(root)
      this.required = requiredTexts(root)
      this.canonical = canonicalText(root, (value) => isNodeOf(root, value))
      meter(root, this.#budget)
      this.#evaluate = parsed as unknown as (context: RecordView['fields']) => unknown
    } catch (error) {
      throw invalid(describe(error as Error, text))
    }
  }

  matches(view: RecordView): boolean {
    try {
      this.#budget.begin(view)
      return this.#evaluate(view.fields) === true && !this.#budget.isExceeded
    } catch {
      // The record lacks a field, or a field has another type: it does not match.
      return false
    }
  }
}

function environmentOf(): Environment {
  const { Environment } = packages.cel() as typeof import('@marcbachmann/cel-js')
  const created = new Environment({ homogeneousAggregateLiterals: false, limits: LIMITS })
  for (const [name, type] of Object.entries(FIELDS)) created.registerVariable(name, type)
  // CEL does not mix types, but a number in JSON is a double, and `1` in an expression is an int.
  const calculations: Record<string, (a: number, b: number) => number> = {
    '+': (a, b) => a + b,
    '-': (a, b) => a - b,
    '*': (a, b) => a * b,
    '/': (a, b) => a / b,
    '%': (a, b) => a % b,
  }
  for (const [operator, calculate] of Object.entries(calculations)) {
    const mixed = (a: number | bigint, b: number | bigint) => calculate(Number(a), Number(b))
    created.registerOperator(`double ${operator} int`, mixed)
    created.registerOperator(`int ${operator} double: double`, mixed)
  }
  created.registerOperator('double % double', (a: number, b: number) => a % b)
  created.registerFunction('json(string): dyn', parseExact)
  created.registerFunction('text(dyn): string', textOfValue)
  return created
}

/** A value as a text to search: a text as it is, null as an empty one, and other values as JSON. */
function textOfValue(value: unknown): string {
  if (typeof value === 'string') return value
  return value === null ? '' : exactJson(value)
}

/** The steps that one evaluation has left. */
class StepBudget {
  view: RecordView | undefined
  #left = 0

  begin(view: RecordView): void {
    this.view = view
    this.#left = MAX_STEPS + Math.min(view.length, MAX_LENGTH_STEPS)
  }

  /** Whether the steps are used up. The error may have been caught within the expression, as by `||`. */
  get isExceeded(): boolean {
    return this.#left < 0
  }

  spend(steps: number): void {
    this.#left -= steps
    if (this.#left >= 0) return
    tooCostly ??= new Error('the expression costs too much')
    throw tooCostly
  }
}

/**
 * Made when it is first thrown, once for all expressions. V8 parses a module again for the stack of an
 * error that is made while the module is loaded: Deno took 10 ms for that.
 */
let tooCostly: Error | undefined

/** The part that is used here of a node of cel-js's syntax tree. */
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

/** The part that is used here of cel-js's evaluator. */
interface Evaluator {
  debugType(value: unknown): unknown
}

/**
 * An evaluator for which a value is a list or a map, whatever it contains. The evaluator of cel-js
 * derives a type from the first element or field of each level, in time that grows by the square of
 * the depth, and keeps each type for ever.
 */
function withShallowTypes(evaluator: Evaluator): Evaluator {
  return Object.create(evaluator, {
    debugTypeDeep: { value: (value: unknown) => evaluator.debugType(value) },
  })
}

/**
 * Makes each node of a tree spend steps. cel-js limits the size of a tree, but not the time of an
 * evaluation: nested macros and growing texts can take any time.
 */
function meter(root: ExpressionNode, budget: StepBudget): void {
  const visit = (value: unknown, parent: ExpressionNode | undefined, seen: Set<unknown>): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    const isNode = isNodeOf(root, value)
    if (isNode) {
      assertNameIsFree(value)
      // The expansion of a macro is visited before the macro itself.
      for (const child of [value.meta.alternate, value.meta.macro]) visit(child, value, seen)
    }
    for (const child of Object.values(value)) visit(child, isNode ? value : parent, seen)
    if (!isNode) return
    value.evaluate = metered(value, parent, budget)
    // Without the input an error does not quote the text around its position: nobody reads that.
    Object.defineProperty(value, 'input', { value: undefined })
  }
  visit(root, undefined, new Set())
  const evaluate = root.evaluate
  let own: Evaluator | undefined
  root.evaluate = (evaluator, node, context) => {
    own ??= withShallowTypes(evaluator)
    return evaluate(own, node, context)
  }
}

function isNodeOf(root: ExpressionNode, value: object): value is ExpressionNode {
  return Object.getPrototypeOf(value) === Object.getPrototypeOf(root)
}

/** Refuses a macro's variable with the name of a field: it would hide the field. */
function assertNameIsFree(node: ExpressionNode): void {
  const iterVarName = (node.args as { iterVarName?: string } | null)?.iterVarName
  const bound = (node.meta.macro as { var?: string } | undefined)?.var
  const name = [iterVarName, bound].find((name) => name !== undefined && name in FIELDS)
  if (name === undefined) return
  throw new InvalidExpression(`the variable "${name}" has the name of a field`, node)
}

/** Evaluates a node as {@link evaluationOf} does, and spends steps by the size of its result. */
function metered(
  node: ExpressionNode,
  parent: ExpressionNode | undefined,
  budget: StepBudget,
): Evaluate {
  const evaluate = evaluationOf(node, parent, budget)
  // Comparing and counting read a whole map, other operations a part.
  const isScanned = parent !== undefined && !SELECTIONS.has(parent.op)
  return (evaluator, _node, context) => {
    budget.spend(1)
    let result: unknown
    try {
      result = evaluate(evaluator, node, context)
    } catch (error) {
      // Errors are costly to create, and macros continue after one.
      budget.spend(20)
      throw error
    }
    if (typeof result === 'string') {
      if (result.length > 256) budget.spend(result.length >> 8)
    } else if (Array.isArray(result)) {
      budget.spend(result.length >> 4)
    } else if (isScanned && typeof result === 'object' && result !== null) {
      budget.spend((budget.view as RecordView).length >> 6)
    }
    return result
  }
}

const SELECTIONS = new Set(['.', '[]', 'accuPush', '?:', '&&', '||'])

/** The steps that functions spend which parse a text. */
const PARSERS = new Map([
  ['timestamp', 15],
  ['duration', 15],
])

/** The evaluation of a node: cel-js's own, except for texts that are JSON, maps and regular expressions. */
function evaluationOf(
  node: ExpressionNode,
  parent: ExpressionNode | undefined,
  budget: StepBudget,
): Evaluate {
  const { alternate, macro, evaluate } = node.meta
  if (alternate) {
    return (evaluator, _node, context) => alternate.evaluate(evaluator, alternate, context)
  }
  if (macro) return (evaluator, _node, context) => macro.evaluate(evaluator, macro, context)
  if (node.op === 'rcall') return methodCall(node, budget)
  if (node.op === 'map' && (node.args as unknown[]).length > 0) return mapLiteral(node)
  if (node.op === 'call') return functionCall(node, budget)
  const field = node.op === 'id' && (node.args === 'key' || node.args === 'value') && node.args
  if (field && parent && hasFields(parent, node)) {
    return () => (budget.view as RecordView).jsonOf(field)
  }
  return evaluate
}

/** Whether a node's parent reads its fields or elements. Then its text is parsed as JSON. */
function hasFields(parent: ExpressionNode, node: ExpressionNode): boolean {
  const { op, args } = parent
  if (op === '.' || op === '[]') return (args as unknown[])[0] === node
  if (op === 'in') return (args as unknown[])[1] === node
  return op === 'comprehension' && (args as { iterable: unknown }).iterable === node
}

/** A map literal as a Map. cel-js would make an object, and leave out fields such as `constructor`. */
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

function functionCall(node: ExpressionNode, budget: StepBudget): Evaluate {
  const [name, given] = node.args as [string, ExpressionNode[]]
  const { evaluate } = node.meta
  const field = name === 'text' && given[0]?.op === 'id' ? given[0].args : undefined
  if (field === 'key' || field === 'value' || field === 'headers') {
    return () => {
      const view = budget.view as RecordView
      budget.spend(view.length >> 6)
      return view.textOf(field)
    }
  }
  return (evaluator, _node, context) => {
    const { length } = budget.view as RecordView
    const isJson = name === 'json' || name === 'text'
    budget.spend(isJson ? length >> 3 : (PARSERS.get(name) ?? 0))
    return evaluate(evaluator, node, context)
  }
}

function methodCall(node: ExpressionNode, budget: StepBudget): Evaluate {
  const [name, receiver, given] = node.args as [string, ExpressionNode, ExpressionNode[]]
  const [first] = given
  if (name === 'matches' && first) {
    const pattern = patternOf(first)
    return (evaluator, _node, context) => {
      const text = receiver.evaluate(evaluator, receiver, context)
      if (typeof text !== 'string') throw new InvalidExpression('only a text can match', node)
      // The time of RE2 is linear in the text and in the size of the expression.
      budget.spend((text.length * pattern.programSize()) >> 6)
      return pattern.test(text)
    }
  }
  // With the name of a time zone, cel-js formats the date as a text and parses it again.
  const cost = first && /^get[A-Z]/.test(name) ? 500 : 0
  return (evaluator, _node, context) => {
    budget.spend(cost)
    const result = node.meta.evaluate(evaluator, node, context)
    if (name === 'split' && Array.isArray(result)) budget.spend(result.length >> 2)
    return result
  }
}

function patternOf(node: ExpressionNode): RE2JS {
  if (node.op !== 'value' || typeof node.args !== 'string') {
    throw new InvalidExpression('matches takes a regular expression in quotes', node)
  }
  let pattern: RE2JS
  try {
    const { RE2JS } = packages.re2() as typeof import('re2js')
    pattern = RE2JS.compile(node.args)
  } catch {
    throw new InvalidExpression(
      'it is not a valid regular expression (RE2 has no look-around and no back reference)',
      node,
    )
  }
  if (pattern.programSize() > MAX_REGEX_STATES) {
    throw new InvalidExpression('the regular expression is too large', node)
  }
  return pattern
}

/** An expression that our own rules refuse, in the form of cel-js's errors. */
class InvalidExpression extends Error {
  readonly summary: string
  readonly range: { readonly start: number } | undefined

  constructor(summary: string, node?: ExpressionNode) {
    super(summary)
    this.summary = summary
    this.range = node?.start === undefined ? undefined : { start: node.start }
  }
}

/** Describes an error for the client that sent the expression. Some errors of cel-js have no position. */
function describe(
  { message, summary = message, range }: Partial<InvalidExpression>,
  text: string,
): string {
  const state = (summary as string).replace(/\s+/g, ' ').slice(0, 200)
  return range ? `${state}, at character ${Math.min(range.start, text.length) + 1}` : state
}

function invalid(state: string): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_PARAMETER', `Cannot use parameter "filter": ${state}`)
}
