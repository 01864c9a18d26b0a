import avro, { type Schema as AvroSchema, type ForSchemaOptions, type Type, types } from 'avsc'
import { toBase64 } from '../core/bytes.ts'
import { textOf } from '../records/encode.ts'
import type { NamedDecoder } from './schemas.ts'

/** The most items without bytes in an array: a count alone must not cause endless work. */
const MAX_EMPTY_ITEMS = 10_000

/**
 * A decoder of Avro's binary encoding by the schema that a record was written with. The JSON is
 * plain: unions are the value of their branch, `bytes` and `fixed` are base64, `decimal` is text such
 * as "12.50", other logical types stay the numbers or texts that they are, and numbers have all
 * their digits. NaN and the infinities are texts.
 *
 * avsc parses the schema. The bytes are decoded here, because avsc loses digits of longs or refuses
 * them, and trusts a count for which there are no items.
 *
 * @param text The schema.
 * @param referred Schemas that it refers to by name, each after the schemas that it refers to itself.
 * @throws Error when the text is not a valid Avro schema.
 */
export function avroDecoder(text: string, referred: readonly string[]): NamedDecoder {
  const type = avroTypeOf(text, referred)
  // Confluent's serializers write a schema of plain bytes without their length.
  const { name } = type
  if (type.typeName === 'bytes') return { decode: base64, nameOf: () => name }
  const read = readerOf(type, new Map())
  const decode = (payload: Uint8Array) => {
    const source = new AvroSource(payload)
    const json = read(source)
    if (source.left > 0)
      throw new Error(`${source.left} bytes are left behind what the schema says`)
    return json
  }
  return { decode, nameOf: () => name }
}

/**
 * The type of a schema.
 *
 * @param referred Schemas that it refers to by name, each after the schemas that it refers to itself.
 * @throws Error when the text is not a valid Avro schema.
 */
export function avroTypeOf(text: string, referred: readonly string[]): Type {
  const registry: Record<string, Type> = {}
  const options = { registry, wrapUnions: true, typeHook } as const
  for (const one of referred) avro.Type.forSchema(parse(one), options)
  return avro.Type.forSchema(parse(text), options)
}

/** Digits after the point of a decimal; undefined for any other type. */
export function scaleOf(type: Type): number | undefined {
  return scales.get(type)
}

/** Parses a schema, which may be a bare name with or without quotes. */
function parse(text: string): AvroSchema {
  try {
    return JSON.parse(text) as AvroSchema
  } catch {
    return text
  }
}

/** Digits after the point of decimals, by the type that holds their bytes. */
const scales = new WeakMap<Type, number>()

/** Creates the types of decimals and keeps their scale; avsc creates all other types. */
function typeHook(schema: AvroSchema, options: ForSchemaOptions): Type | undefined {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return undefined
  const { logicalType, ...plain } = schema as Record<string, unknown>
  const { type, scale } = plain
  if (logicalType !== 'decimal' || (type !== 'bytes' && type !== 'fixed')) return undefined
  const made =
    type === 'bytes'
      ? new types.BytesType()
      : avro.Type.forSchema(plain as unknown as AvroSchema, options)
  scales.set(made, typeof scale === 'number' ? scale : 0)
  return made
}

/** Decodes one value into JSON. */
type AvroReader = (source: AvroSource) => string

/** @param made Readers by type: named types may contain themselves. */
function readerOf(type: Type, made: Map<Type, AvroReader>): AvroReader {
  const known = made.get(type)
  if (known) return known
  let read: AvroReader | undefined
  made.set(type, (source) => (read as AvroReader)(source))
  read = makeReader(type, (inner) => readerOf(inner, made))
  made.set(type, read)
  return read
}

function makeReader(type: Type, of: (inner: Type) => AvroReader): AvroReader {
  switch (type.typeName) {
    case 'null':
      return () => 'null'
    case 'boolean':
      return (source) => (source.byte() ? 'true' : 'false')
    case 'int':
    case 'long':
      return (source) => String(source.long())
    case 'float':
      return (source) => numberText(source.view(4).getFloat32(0, true))
    case 'double':
      return (source) => numberText(source.view(8).getFloat64(0, true))
    case 'string':
      return (source) => JSON.stringify(source.text())
    case 'bytes':
      return bytesReader(type, (source) => source.take(source.count()))
    case 'fixed': {
      const { size } = type as types.FixedType
      return bytesReader(type, (source) => source.take(size))
    }
    case 'enum': {
      const symbols = (type as types.EnumType).symbols.map((symbol) => JSON.stringify(symbol))
      return (source) => pick(symbols, source.count(), 'symbol')
    }
    case 'array': {
      const item = of((type as types.ArrayType).itemsType)
      return (source) => `[${blocks(source, item).join(',')}]`
    }
    case 'map': {
      const value = of((type as types.MapType).valuesType)
      const entry: AvroReader = (source) => `${JSON.stringify(source.text())}:${value(source)}`
      return (source) => `{${blocks(source, entry).join(',')}}`
    }
    case 'union:wrapped': {
      const branches = (type as types.WrappedUnionType).types.map((branch) => of(branch))
      return (source) => pick(branches, source.count(), 'branch')(source)
    }
    case 'record':
    case 'error': {
      const fields = (type as types.RecordType).fields.map(
        (field) => [`${JSON.stringify(field.name)}:`, of(field.type)] as const,
      )
      return (source) => `{${fields.map(([name, read]) => name + read(source)).join(',')}}`
    }
    default:
      throw new Error(`its type ${type.typeName} is not known`)
  }
}

function pick<T>(among: readonly T[], index: number, what: string): T {
  const found = among[index]
  if (found === undefined) throw new Error(`there is no ${what} ${index}`)
  return found
}

/** Reads items, which come in blocks with a count each. The block's size in bytes follows a negative count. */
function blocks(source: AvroSource, read: AvroReader): string[] {
  const items: string[] = []
  for (;;) {
    let count = Number(source.long())
    if (count === 0) return items
    if (count < 0) {
      count = -count
      source.long()
    }
    for (; count > 0; count--) {
      const before = source.left
      items.push(read(source))
      if (source.left === before && items.length > MAX_EMPTY_ITEMS) {
        throw new Error(`it has more than ${MAX_EMPTY_ITEMS} items without bytes`)
      }
    }
  }
}

function bytesReader(type: Type, take: (source: AvroSource) => Uint8Array): AvroReader {
  const scale = scales.get(type)
  return (source) => (scale === undefined ? base64(take(source)) : decimalText(take(source), scale))
}

function numberText(value: number): string {
  return Number.isFinite(value) ? String(value) : `"${value}"`
}

function base64(bytes: Uint8Array): string {
  return `"${toBase64(bytes)}"`
}

/** A big-endian two's complement number as text with `scale` digits after the point. */
function decimalText(bytes: Uint8Array, scale: number): string {
  let unscaled = bytes.length > 0 && (bytes[0] as number) > 0x7f ? -1n : 0n
  for (const byte of bytes) unscaled = (unscaled << 8n) | BigInt(byte)
  const sign = unscaled < 0n ? '-' : ''
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const point = digits.length - scale
  return `"${sign}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ''}"`
}

/** Reads bytes in order. Reading beyond the end throws. */
class AvroSource {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The number of bytes that are left to read. */
  get left(): number {
    return this.#bytes.length - this.#at
  }

  take(count: number): Uint8Array {
    if (count > this.left) throw new Error(`it ends ${count - this.left} bytes too early`)
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new Error('it ends 1 byte too early')
    this.#at++
    return byte
  }

  view(count: number): DataView {
    const { buffer, byteOffset } = this.take(count)
    return new DataView(buffer, byteOffset, count)
  }

  /** Reads a zigzag varint. A small one is a number instead of a bigint, since most are small. */
  long(): number | bigint {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
    let big = BigInt(value)
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.byte()
      big |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, (big >> 1n) ^ -(big & 1n))
    }
    throw new Error('a number has more than 10 bytes')
  }

  /** Reads a long that is a count or an index. */
  count(): number {
    const count = this.long()
    if (count < 0) throw new Error(`a length is ${count}`)
    return Number(count)
  }

  text(): string {
    const text = textOf(this.take(this.count()))
    if (text === undefined) throw new Error('a text is not valid UTF-8')
    return text
  }
}
