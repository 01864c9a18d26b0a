import avro, { type Schema as AvroSchema, type ForSchemaOptions, type Type, types } from 'avsc'
import type { Decode } from './schemas.ts'

/**
 * A decoder of Avro's binary encoding by the schema that a record was written with. Its JSON is
 * plain: unions are the value of their branch, `bytes` and `fixed` are base64, `decimal` is text such
 * as "12.50", other logical types stay the numbers or texts that they are, and numbers have all
 * their digits. NaN and the infinities are texts.
 *
 * @param text The schema.
 * @param referred Schemas that it refers to by name, in an order in which each follows what it needs.
 * @throws whatever the schema is no Avro schema by.
 */
export function avroDecoder(text: string, referred: readonly string[]): Decode {
  const registry: Record<string, Type> = {}
  const options = { registry, wrapUnions: true, typeHook } as const
  for (const one of referred) avro.Type.forSchema(parse(one), options)
  const type = avro.Type.forSchema(parse(text), options)
  // Confluent's serializers write a schema of plain bytes without their length.
  if (type.typeName === 'bytes') return (payload) => base64(payload)
  return (payload) => {
    const buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    return jsonOf(type.fromBuffer(buffer), type)
  }
}

/** A schema may be a bare name, with or without quotes. */
function parse(text: string): AvroSchema {
  try {
    return JSON.parse(text) as AvroSchema
  } catch {
    return text
  }
}

/** Longs beyond 2^53 keep their digits. */
const bigLong = types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
})

interface Decimal {
  readonly scale: number
}

/** Types of decimals, by the type that holds their bytes. */
const decimals = new WeakMap<Type, Decimal>()

/** Makes the types whose values differ from what avsc makes of them; the rest it makes itself. */
function typeHook(schema: AvroSchema, options: ForSchemaOptions): Type | undefined {
  if (schema === 'long') return bigLong
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return undefined
  const { logicalType, ...plain } = schema as Record<string, unknown>
  const { type, scale } = plain
  if (type === 'long') return bigLong
  if (logicalType !== 'decimal' || (type !== 'bytes' && type !== 'fixed')) return undefined
  const made =
    type === 'bytes'
      ? new types.BytesType()
      : avro.Type.forSchema(plain as unknown as AvroSchema, options)
  decimals.set(made, { scale: typeof scale === 'number' ? scale : 0 })
  return made
}

function jsonOf(value: unknown, type: Type): string {
  if (type === bigLong) return String(value)
  switch (type.typeName) {
    case 'null':
      return 'null'
    case 'boolean':
    case 'int':
      return String(value)
    case 'float':
    case 'double':
      return Number.isFinite(value) ? String(value) : `"${value}"`
    case 'bytes':
    case 'fixed': {
      const decimal = decimals.get(type)
      return decimal ? decimalText(value as Uint8Array, decimal) : base64(value as Uint8Array)
    }
    case 'array': {
      const { itemsType } = type as types.ArrayType
      return `[${(value as unknown[]).map((item) => jsonOf(item, itemsType)).join(',')}]`
    }
    case 'map': {
      const { valuesType } = type as types.MapType
      const entries = Object.entries(value as Record<string, unknown>)
      return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${jsonOf(inner, valuesType)}`).join(',')}}`
    }
    case 'record':
    case 'error': {
      const fields = (type as types.RecordType).fields.map(
        ({ name, type: inner }) =>
          `${JSON.stringify(name)}:${jsonOf((value as Record<string, unknown>)[name], inner)}`,
      )
      return `{${fields.join(',')}}`
    }
    case 'union:wrapped': {
      if (value === null) return 'null'
      const [branch = '', inner] = Object.entries(value as object)[0] ?? []
      const chosen = (type as types.WrappedUnionType).types.find(
        ({ branchName }) => branchName === branch,
      )
      return jsonOf(inner, chosen as Type)
    }
    default:
      return JSON.stringify(value)
  }
}

function base64(bytes: Uint8Array): string {
  return `"${bytes.toBase64()}"`
}

/** Two's complement, the highest byte first, as text with so many digits after the point. */
function decimalText(bytes: Uint8Array, { scale }: Decimal): string {
  let unscaled = bytes.length > 0 && (bytes[0] as number) > 0x7f ? -1n : 0n
  for (const byte of bytes) unscaled = (unscaled << 8n) | BigInt(byte)
  const sign = unscaled < 0n ? '-' : ''
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const point = digits.length - scale
  return `"${sign}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ''}"`
}
