import { describe, expect, test } from 'bun:test'
import { Validator as JsonValidator } from '@cfworker/json-schema'
import { Validator } from '@seriousme/openapi-schema-validator'
import { type } from 'arktype'
import { Hono } from 'hono'
import * as v from 'valibot'
import * as z from 'zod'
import { kafkaConsume, kafkaDocs, kafkaProduce } from '../../src/index.ts'
import { jsonSchemaOf } from '../../src/observability/openapi/json-schema.ts'
import type { StandardSchema } from '../../src/records/standard-schema.ts'

interface Category {
  readonly name: string
  readonly children: readonly Category[]
}
/** A schema that refers to itself. */
const Tree: z.ZodType<Category> = z.object({
  name: z.string(),
  children: z.array(z.lazy(() => Tree)),
})

const topics = [
  {
    name: 'orders',
    schema: v.object({
      total: v.pipe(v.number(), v.minValue(0)),
      at: v.pipe(v.string(), v.toDate()),
    }),
    key: v.pipe(v.string(), v.transform(Number), v.integer()),
    headers: v.object({ trace: v.string() }),
  },
  { name: 'tree', schema: Tree },
  'plain',
] as const

/** The document of an app that reads and writes the topics. */
async function documentOf() {
  const options = { bootstrapServers: 'localhost:9092', topics }
  const reading = kafkaConsume({ ...options, mode: 'auto' })
  const other = kafkaConsume({
    ...options,
    topics: { orders: v.string() },
    mode: 'server-sent-events',
  })
  const writing = kafkaProduce(options)
  const docs = kafkaDocs({ '/shop': [reading, writing], '/other': other })
  const response = await new Hono().route('/', docs).request('/openapi.json')
  await Promise.all([reading.close(), other.close(), writing.close()])
  return (await response.json()) as {
    readonly components: { readonly schemas: Record<string, object> }
    readonly paths: Record<string, Record<string, Record<string, unknown>>>
  }
}

interface Operation {
  readonly description: string
  readonly requestBody: Content
  readonly responses: Readonly<Record<string, Content>>
}

interface Content {
  readonly content: Readonly<Record<string, { readonly schema: object }>>
}

function operationOf(
  { paths }: Awaited<ReturnType<typeof documentOf>>,
  path: string,
  method: string,
): Operation {
  return paths[path]?.[method] as unknown as Operation
}

function bodyOf(content: Content | undefined): { readonly schema: object } {
  return content?.content['application/json'] ?? { schema: {} }
}

/** Whether a value is valid by a schema of a document. */
function isValid(document: object, schema: unknown, value: unknown): boolean {
  const whole = { ...document, ...(schema as object) }
  return new JsonValidator(whole, '2020-12').validate(value).valid
}

const RECORD = { partition: 0, offset: 1, timestamp: 2, key: null, headers: {} }
const ORDER = {
  ...RECORD,
  topic: 'orders',
  key: 7,
  value: { total: 1, at: '2026-11-28T10:00:00Z' },
  headers: { trace: 'a' },
}
const WRONG = { ...ORDER, value: { total: -1 } }
const ERROR = { code: 'VALIDATION_FAILED', message: 'Cannot validate the record: …' }

describe('the OpenAPI document of routes whose topics have schemas', () => {
  test('is valid, and its references lead to components', async () => {
    const document = await documentOf()
    expect(await new Validator().validate(structuredClone(document))).toEqual({ valid: true })
    const names = Object.keys(document.components.schemas)
    expect(names).toContain('orders.Record')
    expect(names).toContain('tree.value.input')
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)]
    const found = new Set(references.map(([, reference = '']) => reference))
    expect([...found].filter((one) => !names.includes(one.split('/').at(-1) ?? ''))).toEqual([])
  })

  test('describes what clients get: outputs, records that failed, and topics without a schema', async () => {
    const document = await documentOf()
    const { responses, description } = operationOf(document, '/shop', 'get')
    expect(description).toContain('Records: `orders.Record`, `tree.Record`.')
    const { schema } = bodyOf(responses['200'])
    const read = (...records: object[]) => isValid(document, schema, { records })
    const tree = {
      ...RECORD,
      topic: 'tree',
      value: { name: 'a', children: [{ name: 'b', children: [] }] },
    }
    expect(read(ORDER, tree, { ...RECORD, topic: 'plain', value: 'any' })).toBe(true)
    expect(isValid(document, { $ref: '#/components/schemas/orders.Record' }, WRONG)).toBe(false)
    const badTree = { ...tree, value: { name: 'a', children: [{ name: 1, children: [] }] } }
    expect(isValid(document, { $ref: '#/components/schemas/tree.Record' }, badTree)).toBe(false)
    expect(isValid(document, { $ref: '#/components/schemas/tree.Record' }, tree)).toBe(true)
    expect(read({ ...WRONG, key: 'x', headers: {}, error: ERROR })).toBe(true)
  })

  test('describes what clients post: inputs', async () => {
    const document = await documentOf()
    const { requestBody } = operationOf(document, '/shop', 'post')
    const { schema } = bodyOf(requestBody)
    const order = { topic: 'orders', key: '7', value: ORDER.value, headers: { trace: 'a' } }
    const write = (...records: object[]) => isValid(document, schema, { records })
    expect(write(order)).toBe(true)
    const posted = { $ref: '#/components/schemas/orders.NewRecord' }
    expect(isValid(document, posted, { ...order, key: 7 })).toBe(false)
    expect(isValid(document, posted, { ...order, value: { total: 1 } })).toBe(false)
  })

  test('names a topic twice where two routes give it different schemas', async () => {
    const document = await documentOf()
    const { description } = operationOf(document, '/other', 'get')
    expect(description).toContain('`orders.Record.2`')
    const value = { ...RECORD, topic: 'orders', value: 'text' }
    const schema = { $ref: '#/components/schemas/orders.Record.2' }
    expect(isValid(document, schema, value)).toBe(true)
    expect(isValid(document, schema, ORDER)).toBe(false)
  })
})

describe('the JSON Schema of a Standard Schema', () => {
  const DATE = { type: 'string', format: 'date-time' }
  const dates: ReadonlyArray<[string, StandardSchema]> = [
    ['valibot', v.object({ at: v.pipe(v.string(), v.toDate()), n: v.number(), big: v.bigint() })],
    ['zod', z.object({ at: z.coerce.date(), n: z.number(), big: z.bigint() })],
    ['arktype', type({ at: 'string.date.iso.parse', n: 'number', big: 'bigint' })],
  ]
  test.each(dates)(
    'of %s has dates as texts, and anything for what JSON Schema lacks',
    (_, schema) => {
      expect(jsonSchemaOf(schema, 'output')).toMatchObject({
        type: 'object',
        properties: { at: DATE, n: { type: 'number' }, big: {} },
      })
    },
  )

  test('of valibot does not take the input for the output of a function', () => {
    const schema = v.object({
      length: v.pipe(
        v.string(),
        v.transform((text) => text.length),
      ),
      number: v.pipe(v.string(), v.transform(Number), v.number()),
      name: v.pipe(v.string(), v.trim(), v.maxLength(3)),
    })
    expect(jsonSchemaOf(schema, 'output')).toMatchObject({
      properties: {
        length: {},
        number: { type: 'number' },
        name: { type: 'string', maxLength: 3 },
      },
    })
    expect((jsonSchemaOf(schema, 'output')['properties'] as { length: object }).length).toEqual({})
    expect(jsonSchemaOf(schema, 'input')).toMatchObject({
      properties: { length: { type: 'string' }, number: { type: 'string' } },
    })
  })

  test('of a library without a conversion allows anything', () => {
    const schema: StandardSchema = {
      '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) },
    }
    expect(jsonSchemaOf(schema, 'output')).toEqual({})
  })
})
