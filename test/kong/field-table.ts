/**
 * The table of docs/kong-fields.md, made of the schemas: each field of Kong's plugins for Kafka, its
 * default, and how a wrong value is refused. `bun test/kong/field-table.ts` writes it there;
 * `test/kong/field-table.test.ts` fails while the two differ.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KAFKA_PLUGINS } from '../../src/kong/config/kafka-plugins.ts'
import { readPluginConfig } from '../../src/kong/config/plugin-config.ts'
import type { KongField } from '../../src/kong/model/field-description.ts'
import { SchemaViolation } from '../../src/kong/model/schema-violation.ts'

const FILE = join(import.meta.dir, '..', '..', 'docs', 'kong-fields.md')
const BLOCK = /<!-- fields -->[\s\S]*<!-- \/fields -->/
const ID = '0b54e1c5-6c39-4d4c-8a3c-0c7bb0a44a6a'
/** The plugins in the columns of the table. */
const COLUMNS = ['kafka-consume', 'confluent-consume', 'kafka-upstream', 'confluent', 'kafka-log']

/** A topic's registry has the fields of the plugin's. */
const LIKE_ALL_TOPICS = 'topics.[].schema_registry'

/** A name, or `[]` for the elements of an array. */
type FieldPath = readonly string[]

interface Row {
  readonly field: string
  readonly fallback: string
  readonly refusal: string
  readonly plugins: Set<string>
}

/** The page with the table as the schemas have it. */
export function withFieldTable(page: string): string {
  return page.replace(BLOCK, `<!-- fields -->\n${fieldTable()}\n<!-- /fields -->`)
}

export function readFieldPage(): string {
  return readFileSync(FILE, 'utf8')
}

function fieldTable(): string {
  const rows = new Map<string, Row>()
  for (const name of COLUMNS) {
    const plugin = KAFKA_PLUGINS.find((each) => each.name === name)
    if (!plugin) throw new Error(`Cannot write the table: there is no plugin ${name}`)
    for (const { path, field } of leaves(plugin.field)) {
      if (path.join('.').startsWith(LIKE_ALL_TOPICS)) continue
      const row = {
        field: path.join('.').replaceAll('.[]', '[]'),
        fallback: fallbackOf(field),
        refusal: refusalOf(name, path, field),
      }
      const key = JSON.stringify(row)
      const { plugins } = rows.get(key) ?? { plugins: new Set() }
      rows.set(key, { ...row, plugins: plugins.add(name) })
    }
  }
  const lines = [...rows.values()]
    .sort((one, other) => (one.field < other.field ? -1 : 1))
    .map(({ field, fallback, refusal, plugins }) => {
      const marks = COLUMNS.map((name) => (plugins.has(name) ? '×' : ''))
      return `| \`${field}\` | ${fallback} | ${refusal} | ${marks.join(' | ')} |`
    })
  const head = `| field of \`config\` | default | a wrong value | ${COLUMNS.map((name) => `\`${name}\``).join(' | ')} |`
  return [head, `|---|---|---|${':-:|'.repeat(COLUMNS.length)}`, ...lines].join('\n')
}

/** All fields that hold a value of their own, however deep. */
function leaves(
  field: KongField,
  path: FieldPath = [],
): Array<{ path: FieldPath; field: KongField }> {
  const elements = field.elements?.fields ? [{ '[]': { ...field.elements } }] : []
  const inner = [...(field.fields ?? []), ...elements].flatMap((each) =>
    Object.entries(each).flatMap(([name, below]) => leaves(below, [...path, name])),
  )
  // An array of records has a default of its own.
  const isLeaf = path.length > 0 && !field.fields
  return [...(isLeaf ? [{ path, field }] : []), ...inner]
}

function fallbackOf({ default: fallback, required }: KongField): string {
  if (fallback !== undefined) return `\`${JSON.stringify(fallback)}\``
  return required ? 'required' : 'null'
}

/** The message for a value of a wrong type, or beyond the field's values. */
function refusalOf(name: string, path: FieldPath, field: KongField): string {
  return wrongValues(field)
    .map((wrong) => messageAt(name, path, wrong))
    .join('; ')
}

function wrongValues({ type, one_of, between }: KongField): unknown[] {
  if (one_of) return [type === 'integer' ? 7 : 'none-of-these']
  if (between) return ['wrong', between[1] + 1]
  return [type === 'string' ? 5 : 'wrong']
}

function messageAt(name: string, path: FieldPath, wrong: unknown): string {
  try {
    readPluginConfig(valueAt(path, wrong), { name, id: ID })
  } catch (error) {
    if (!(error instanceof SchemaViolation)) throw error
    const message = path.reduce<unknown>(
      (errors, key) => (errors as Record<string, unknown>)?.[key === '[]' ? '1' : key],
      error.fields['config'],
    )
    if (typeof message === 'string') return message
  }
  throw new Error(`Cannot write the table: ${name} accepts ${wrong} as ${path.join('.')}`)
}

function valueAt([key, ...rest]: FieldPath, value: unknown): unknown {
  if (key === undefined) return value
  const inner = valueAt(rest, value)
  return key === '[]' ? [inner] : { [key]: inner }
}

if (import.meta.main) writeFileSync(FILE, withFieldTable(readFieldPage()))
