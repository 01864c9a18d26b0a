/** The package's types, as editors and compilers of apps see them. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { optionsSchema } from '../../src/options/consume-options.ts'
import { produceSchema } from '../../src/options/produce-options.ts'
import { Editor } from '../support/language-service.ts'
import { PackedApp } from '../support/packed.ts'

// Where the addon is not in the cache it is compiled, on a machine that may be busy.
setDefaultTimeout(600_000)

/** Lines of definitions that the package adds to those of Hono, at most. */
const MAX_LINES = 2_450
/** Options by whose types functions infer those of records name their parameters. */
const GIVEN = '(?:<[^>]+>)?'
const STRICT = {
  target: 'esnext',
  module: 'preserve',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  types: [],
}
const PLAIN = "import { Hono } from 'hono'\nexport default new Hono().all('/', (c) => c.text(''))\n"
const root = join(import.meta.dirname, '../..')

describe("the package's types", () => {
  let packed: PackedApp
  let editor: Editor
  beforeAll(async () => {
    packed = await PackedApp.install('hono', '@types/bun', 'prom-client')
    editor = await Editor.open(packed.folder, { ...STRICT, lib: ['esnext', 'dom'] })
  }, 600_000)
  afterAll(() => packed?.[Symbol.dispose]())

  for (const [name, schema] of [
    ['kafkaConsume', optionsSchema],
    ['kafkaProduce', produceSchema],
  ] as const) {
    test(`an editor shows the description and the default of each option of ${name}`, () => {
      const options = Object.entries(schema.entries)
      editor.write(`import { ${name} } from 'hono-kafka-consume'
declare const given: never
${name}({ ${options.map(([option]) => `${option}: given`).join(', ')} })
`)
      expect(editor.errors()).toEqual([])
      for (const [option, field] of options) {
        const { signature, description, tags } = editor.hover(option)
        const isOptional = field.type === 'optional'
        expect(signature).toMatch(
          new RegExp(
            `^\\(property\\) K\\w+Options${GIVEN}\\.${option}${isOptional ? '\\?' : ''}: `,
          ),
        )
        expect(signature).not.toMatch(/\b(?:v\.|\w+Schema\b|InferInput)/)
        const said = description.replaceAll(/\s+/g, ' ')
        expect(said).toStartWith(`${v.getDescription(field as never)}.`)
        const fallback = v.getDefault(field as never) as unknown
        if (fallback === undefined) expect(tags).not.toHaveProperty('default')
        else expect(tags['default']).toStartWith(literal(fallback))
      }
    })
  }

  test('an editor shows units, ranges and errors of options', () => {
    editor.write(`import { kafkaConsume } from 'hono-kafka-consume'
kafkaConsume({
  bootstrapServers: 'a:1',
  topics: ['t'],
  heartbeat: 1,
  consumerGroup: { groupInstanceId: 'a' },
  schemaRegistry: { confluent: { url: 'http://a', ttl: 1 } },
})
`)
    expect(editor.hover('heartbeat')).toEqual({
      signature: '(property) KafkaConsumeOptions.heartbeat?: number | undefined',
      description:
        'Milliseconds of silence on a stream after which a heartbeat is sent.\n\n`INVALID_OPTIONS` otherwise: a whole number of milliseconds from 100 to 3,600,000 is required.',
      tags: { default: '8000' },
    })
    expect(editor.hover('groupInstanceId').description).toContain('1 to 249 letters')
    expect(editor.hover('ttl').description).toContain('a number of seconds from 0 to 3,600')
  })

  test('an editor shows a docstring of every export', () => {
    const names = namesOf(/^export (?:type )?\{(.*?)\}/gms)
    expect(names.length).toBeGreaterThan(40)
    editor.write(
      names.map((name) => `import type { ${name} } from 'hono-kafka-consume'`).join('\n'),
    )
    expect(editor.errors()).toEqual([])
    expect(names.filter((name) => editor.hover(name).description === '')).toEqual([])
  })

  test('every field of every public type has a docstring', () => {
    const declarations = readFileSync(declarationsOf(packed), 'utf8')
    const bare = declarations
      .split('\n')
      .filter(
        (line, i, lines) =>
          /^ {2}(?:readonly )?\w+[?(:]/.test(line) && !/\*\/$/.test(lines[i - 1] ?? ''),
      )
      // The table of codes, which `ErrorCode` is made of.
      .filter((line) => !/^ {2}readonly [A-Z_]+: \d{3};$/.test(line))
    expect(bare).toEqual([])
  })

  test.each([
    [
      "topics: ['t'], heartbeet: 1",
      /'heartbeet' does not exist in type 'KafkaRouteOptions<readonly \["t"\], "http-get", "kong", never>'/,
    ],
    ["topics: ['t'], mode: 'sse'", /^Type '"sse"' is not assignable to type '"http-get" \| /],
    ["topics: ['t'], heartbeat: '8s'", /^Type 'string' is not assignable to type 'number'/],
    ['', /^Argument of type '\{ bootstrapServers: string; \}'.*\n.*Property 'topics' is missing/],
    [
      "topics: ['t'], consumerGroup: { id: 'g' }",
      /'id' does not exist in type 'ConsumerGroupOptions'/,
    ],
    [
      "topics: ['t'], security: { ca: 1 }",
      /^Type 'number' is not assignable to type 'string \| FileReference/,
    ],
    [
      "topics: ['t'], transform: () => 1",
      /^Type '\(\) => number' is not assignable to type 'Transform'.*\n.*'RecordChange/,
    ],
  ])('the compiler refuses {%s} in words that name the field or the type', (fields, message) => {
    editor.write(`import { kafkaConsume } from 'hono-kafka-consume'
kafkaConsume({ bootstrapServers: 'a:1', ${fields} })
`)
    const [error = '', ...more] = editor.errors()
    expect(more).toEqual([])
    expect(error).toMatch(message)
    expect(error.length).toBeLessThan(400)
  })

  test("the README's app reads Hono's definitions and one file of the package", () => {
    editor.write(PLAIN)
    const plain = editor.definitions()
    editor.write(readmeApp())
    expect(editor.errors()).toEqual([])
    const more = [...editor.definitions()].filter(([file]) => !plain.has(file))
    expect(more.map(([file]) => file.slice(packed.folder.length))).toEqual([
      '/node_modules/hono-kafka-consume/src/index.d.ts',
    ])
    expect(more[0]?.[1]).toBeLessThan(MAX_LINES)
  })

  test.each([
    [['esnext', 'dom'], []],
    [['esnext', 'webworker'], []],
    [['esnext'], ['bun']],
  ])('declarations are sound with lib %j and types %j', async (lib, types) => {
    const other = await Editor.open(packed.folder, { ...STRICT, lib, types })
    other.write(readmeApp())
    expect(other.allErrors()).toEqual([])
    other.write(`import { stream } from 'hono-kafka-consume/client'
export const records = stream('/stream', { headers: { authorization: 'Bearer t' } })
`)
    expect(other.allErrors()).toEqual([])
  })

  test('without a DOM library the package adds no errors to those that Hono has', async () => {
    const other = await Editor.open(packed.folder, { ...STRICT, lib: ['esnext'] })
    other.write(PLAIN)
    const plain = other.allErrors()
    other.write(readmeApp())
    expect(other.allErrors()).toEqual(plain)
    // Hono's own declarations name Request and Response, which no library declares then.
    expect(plain.every((error) => error.includes('/node_modules/hono/'))).toBe(true)
  })

  test('metrics go into a registry of prom-client, whose types are read only then', () => {
    editor.write(`import { kafkaMetrics } from 'hono-kafka-consume'
import { Registry } from 'prom-client'
kafkaMetrics({}, { registry: new Registry() })
`)
    expect(editor.errors()).toEqual([])
  })

  test('examples of docstrings are sound', () => {
    const declarations = readFileSync(declarationsOf(packed), 'utf8').replaceAll(/^ *\* ?/gm, '')
    const examples = [...declarations.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code)
    expect(examples.length).toBeGreaterThan(10)
    for (const example of examples) {
      editor.write(example)
      expect(editor.errors()).toEqual([])
    }
  })

  function namesOf(lists: RegExp): string[] {
    const declarations = readFileSync(declarationsOf(packed), 'utf8')
    const listed = [...declarations.matchAll(lists)].flatMap(([, names = '']) => names.split(','))
    const declared = [...declarations.matchAll(/^export declare (?:function|class) (\w+)/gm)]
    return [...listed, ...declared.map(([, name = '']) => name)].map((name) => name.trim())
  }
})

function declarationsOf({ folder }: PackedApp): string {
  return join(folder, 'node_modules/hono-kafka-consume/src/index.d.ts')
}

function readmeApp(): string {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const [, code = ''] = /## In a Hono app.*?```ts\n(.*?)```/s.exec(readme) ?? []
  return code
}

function literal(value: unknown): string {
  return typeof value === 'object' ? '{' : String(value).replace(/^(\D.*)$/, "'$1'")
}
