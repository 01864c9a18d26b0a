import { FieldProperty, type RecordProperty, scalarText } from './record-property.ts'
import { FIELDS, type RecordView } from './record-view.ts'

/** A condition that every passing record meets: its property has one of the values. */
export interface FilterAnchor {
  readonly property: RecordProperty
  /** Texts of the values, as {@link RecordProperty.textOf} gives them. */
  readonly values: readonly string[]
}

/** A node of an expression's tree, as far as it is examined here. */
export interface SyntaxNode {
  readonly op: string
  readonly args: unknown
}

type FieldName = keyof RecordView['fields']

/**
 * The first equality that a true expression implies: a part of its conjunction such as
 * `value.country == "SE"`, `"a" == key` or `headers.x in ["a", "b"]`. Undefined when there is none.
 */
export function anchorOf(node: SyntaxNode): FilterAnchor | undefined {
  const [left, right] = Array.isArray(node.args) ? (node.args as SyntaxNode[]) : []
  if (!left || !right) return undefined
  switch (node.op) {
    case '&&':
      return anchorOf(left) ?? anchorOf(right)
    case '==':
      return equality(left, [right]) ?? equality(right, [left])
    case 'in':
      return right.op === 'list' ? equality(left, right.args as SyntaxNode[]) : undefined
    default:
      return undefined
  }
}

function equality(
  property: SyntaxNode,
  constants: readonly SyntaxNode[],
): FilterAnchor | undefined {
  const names = namesOf(property)
  if (!names) return undefined
  const values = constants.map((constant) => scalarText(constantOf(constant)))
  if (values.includes(undefined)) return undefined
  const [field, ...rest] = names
  return { property: new FieldProperty(field as FieldName, rest), values: values as string[] }
}

/** The names of a path such as `value.customer["country"]`; undefined for other expressions. */
function namesOf({ op, args }: SyntaxNode): string[] | undefined {
  if (op === 'id') return (args as string) in FIELDS ? [args as string] : undefined
  if (op !== '.' && op !== '[]') return undefined
  const [parent, selected] = args as [SyntaxNode, string | SyntaxNode]
  const name = typeof selected === 'string' ? selected : constantOf(selected)
  const names = typeof name === 'string' ? namesOf(parent) : undefined
  return names && [...names, name as string]
}

/** The value of a literal, perhaps negative; undefined for other expressions. */
function constantOf({ op, args }: SyntaxNode): unknown {
  if (op === 'value') return args
  const value = op === '-_' ? constantOf(args as SyntaxNode) : undefined
  return typeof value === 'bigint' || typeof value === 'number' ? -value : undefined
}

/**
 * A text that is equal for expressions with equal trees, whatever their spaces, quotes and parentheses.
 *
 * @param isNode Whether a value within the tree is a node.
 */
export function canonicalText(root: SyntaxNode, isNode: (value: object) => boolean): string {
  const plain = (value: unknown): unknown => {
    if (typeof value === 'bigint') return { int: String(value) }
    if (typeof value === 'number') return { double: String(value) }
    if (value instanceof Uint8Array) return { bytes: [...value] }
    if (Array.isArray(value)) return value.map(plain)
    if (typeof value !== 'object' || value === null) return value
    const { op, args } = value as SyntaxNode
    // Besides nodes there are unsigned integers.
    return isNode(value) ? [op, plain(args)] : { uint: String(value.valueOf()) }
  }
  return JSON.stringify(plain(root))
}
