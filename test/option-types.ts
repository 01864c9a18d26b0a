/**
 * The public interfaces of options with their docstrings, made of the schemas. `bun test/option-types.ts`
 * writes the file; `test/option-types.test.ts` fails while the two differ.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { optionsSchema } from '../src/options/consume-options.ts'
import { logSchema } from '../src/options/log-options.ts'
import { produceSchema } from '../src/options/produce-options.ts'
import {
  connectionOptions,
  producerFields,
  targetOptions,
} from '../src/options/producer-options.ts'
import { upstreamSchema } from '../src/options/upstream-options.ts'

const ROOT = join(import.meta.dir, '..')
const NAME = 'src/options/option-types.ts'
const WIDTH = 95
const HEAD = `/**
 * The types of options with their docstrings. \`bun test/option-types.ts\` generates this file from the
 * schemas: do not edit it. It has more than 400 lines because one file has all options.
 */
import type { FormatRecord } from '../records/format.ts'
import type { SchemaOfTopic, StandardSchema } from '../records/standard-schema.ts'
import type { Transform } from '../records/transform.ts'
`

/** The part of valibot's schemas that is read here. */
interface Schema {
  readonly kind: 'schema'
  readonly type: string
  readonly message?: unknown
  readonly default?: unknown
  readonly wrapped?: Schema
  readonly item?: Schema
  readonly value?: Schema
  readonly options?: readonly unknown[]
  readonly entries?: Readonly<Record<string, Schema>>
  readonly pipe?: readonly (Schema | Action)[]
}

interface Action {
  readonly kind: 'validation' | 'transformation' | 'metadata'
  readonly message?: unknown
}

/** Options that several functions have in common, which are an interface of their own. */
const CONNECTION = { title: 'KafkaConnectionOptions', entries: connectionOptions }
const PRODUCER = {
  title: 'KafkaProducerOptions',
  entries: { ...connectionOptions, ...targetOptions, ...producerFields },
}

/** The file as the schemas have it. */
export function optionTypes(): string {
  const interfaces = new Map<string, string>()
  declare(interfaces, 'KafkaConnectionOptions', 'How to reach Kafka.', CONNECTION)
  declare(
    interfaces,
    'KafkaProducerOptions',
    'How requests are written to Kafka.',
    PRODUCER,
    CONNECTION,
  )
  declare(
    interfaces,
    'KafkaConsumeOptions',
    'Options of `kafkaConsume`.',
    optionsSchema,
    CONNECTION,
  )
  declare(
    interfaces,
    'KafkaProduceOptions',
    'Options of `kafkaProduce`.',
    produceSchema,
    CONNECTION,
  )
  declare(
    interfaces,
    'KafkaUpstreamOptions',
    'Options of `kafkaUpstream`.',
    upstreamSchema,
    PRODUCER,
  )
  declare(interfaces, 'KafkaLogOptions', 'Options of `kafkaLog`.', logSchema, PRODUCER)
  const text = `${HEAD}\n${[...interfaces.values()].join('\n')}`
  const biome = [join(ROOT, 'node_modules/.bin/biome'), 'format', `--stdin-file-path=${NAME}`]
  const formatted = Bun.spawnSync([process.execPath, ...biome], {
    cwd: ROOT,
    stdin: Buffer.from(text),
  })
  if (!formatted.success) throw new Error(formatted.stderr.toString())
  return formatted.stdout.toString()
}

/** The file as it is. */
export function readOptionTypes(): string {
  return readFileSync(join(ROOT, NAME), 'utf8')
}

function declare(
  interfaces: Map<string, string>,
  name: string,
  description: string,
  schema: unknown,
  base?: { readonly title: string; readonly entries: object },
): void {
  interfaces.set(name, '') // Outer interfaces stand before those of their fields.
  const own = Object.entries((schema as Schema).entries ?? {}).filter(
    ([field]) => !(field in (base?.entries ?? {})),
  )
  const fields = own.map(([field, type]) => {
    const mark = type.type === 'optional' ? '?' : ''
    const ending = mark && ' | undefined'
    return `${docstringOf(type)}\nreadonly ${field}${mark}: ${typeOf(type, interfaces)}${ending}\n`
  })
  interfaces.set(
    name,
    `/** ${description} */\nexport interface ${name} ${base ? `extends ${base.title} ` : ''}{\n${fields.join('\n')}}\n`,
  )
}

/** The type of what a schema takes. */
function typeOf(schema: Schema, interfaces: Map<string, string>, next?: Schema): string {
  const title = v.getTitle(schema as never)
  if (title !== undefined && schema.type === 'strict_object' && !interfaces.has(title)) {
    declare(interfaces, title, descriptionOf(schema), schema)
  }
  const [first, ...then] = (schema.pipe ?? []).filter((item) => item.kind === 'schema')
  if (title !== undefined && first?.type === 'union' && !interfaces.has(title)) {
    const isOwn = schema.pipe?.some((item) => (item as { type?: unknown }).type === 'title')
    if (!isOwn) return typeOf(first, interfaces, then[0])
    interfaces.set(title, '')
    const type = typeOf(first, interfaces, then[0])
    interfaces.set(title, `/** ${descriptionOf(schema)} */\nexport type ${title} = ${type}\n`)
  }
  if (title !== undefined) return title
  if (first) return typeOf(first, interfaces, then[0])
  const inner = (part: Schema | undefined) => typeOf(part as Schema, interfaces, next)
  switch (schema.type) {
    case 'string':
    case 'number':
    case 'boolean':
      return schema.type
    case 'picklist':
      return (schema.options ?? []).map((option) => literal(option)).join(' | ')
    case 'optional':
      return inner(schema.wrapped)
    case 'array':
      return `ReadonlyArray<${inner(schema.item)}>`
    case 'record':
      return `Readonly<Record<string, ${inner(schema.value)}>>`
    case 'union':
      return [...new Set((schema.options as Schema[]).map(inner))].join(' | ')
    case 'custom':
      // It only tells that something is an array; the schema after it checks the elements.
      if (next) return typeOf(next, interfaces)
  }
  throw new Error(`Cannot write the type of a schema: ${schema.type} has no title`)
}

function descriptionOf(schema: Schema): string {
  return v.getDescription(schema as never) ?? ''
}

function docstringOf(schema: Schema): string {
  const description = v.getDescription(schema as never)
  if (description === undefined) throw new Error('Cannot document an option: it has no description')
  const message = messagesOf(schema).join('; ')
  const fallback = v.getDefault(schema as never) as unknown
  const paragraphs = [
    wrapped(`${description}.`),
    ...(message ? [wrapped(`\`INVALID_OPTIONS\` otherwise: ${message}.`)] : []),
  ]
  const tag = fallback === undefined ? '' : `\n@default ${defaultText(fallback, message)}`
  const text = paragraphs.join('\n\n') + tag
  if (!text.includes('\n')) return `/** ${text} */`
  return `/**\n * ${text.replaceAll('\n', '\n * ').replaceAll(' * \n', ' *\n')}\n */`
}

/** The error messages of a schema that its type does not express. */
function messagesOf(schema: Schema): string[] {
  const inner = [schema.wrapped, schema.item, ...(schema.pipe ?? [])].filter(
    (part) => part !== undefined && part !== schema,
  ) as Schema[]
  const own = schema.type === 'picklist' || (schema.kind as string) === 'validation'
  const found = schema.pipe ? [] : own ? [schema.message] : []
  const messages = [...found, ...inner.flatMap(messagesOf)]
  return [...new Set(messages.filter((message) => typeof message === 'string'))]
    .filter((message) => message !== 'it must not be empty')
    .map((message) => message.replaceAll(/\d{4,}/g, grouped))
}

function grouped(digits: string): string {
  return Number(digits).toLocaleString('en-US')
}

function defaultText(value: unknown, message: string): string {
  const isBytes = message.includes(' bytes ') && Number(value) % 2 ** 20 === 0
  return isBytes ? `${literal(value)} (${Number(value) / 2 ** 20} MiB)` : literal(value)
}

/** A value as TypeScript writes it. */
function literal(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  const fields = Object.entries(value).map(([name, field]) => `${name}: ${literal(field)}`)
  return fields.length > 0 ? `{ ${fields.join(', ')} }` : '{}'
}

/** A paragraph in lines, broken nowhere within code. */
function wrapped(text: string): string {
  const lines = ['']
  for (const [word] of text.matchAll(/(?:`[^`]*`|[^ `])+/g)) {
    const line = lines.at(-1) as string
    if (line === '') lines[lines.length - 1] = word
    else if (line.length + word.length < WIDTH) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines.join('\n')
}

if (import.meta.main) writeFileSync(join(ROOT, NAME), optionTypes())
