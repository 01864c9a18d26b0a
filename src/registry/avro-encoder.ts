import type { Type, types } from 'avsc'
import { fromBase64 } from '../core/bytes.ts'
import { parseExact } from '../records/exact-json.ts'
import { avroTypeOf, scaleOf } from './avro.ts'

/** Branches of unions that may fail for one message: nested unions would cost endless work. */
const MAX_FAILED_BRANCHES = 10_000

/** Encodes the JSON of a value. Throws an error that names the field that does not fit. */
export type Encode = (json: string) => Uint8Array<ArrayBuffer>

/**
 * An encoder of JSON into Avro's binary encoding, the opposite of the decoder: what that gives is
 * taken as it is. A union's value is plain, or wrapped with the name of its branch as in Avro's own
 * JSON. A field that is left out has its default; one that the schema does not have is refused.
 *
 * @param text The schema.
 * @param referred Schemas that it refers to by name, each after the schemas that it refers to itself.
 * @throws Error when the text is not a valid Avro schema.
 */
export function avroEncoder(text: string, referred: readonly string[]): Encode {
  const type = avroTypeOf(text, referred)
  return (json) => {
    const encoder = new AvroEncoder()
    const value = parseExact(json)
    // Confluent's serializers write a schema of plain bytes without their length.
    if (type.typeName === 'bytes') return bytesOf(value, undefined, '')
    encoder.write(type, value, '')
    return encoder.bytes()
  }
}

class AvroEncoder {
  #buffer = new Uint8Array(1_024)
  #length = 0
  #failedBranches = 0

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#length)
  }

  /** @param at The value's place, for errors. */
  write(type: Type, value: unknown, at: string): void {
    switch (type.typeName) {
      case 'null':
        if (value !== null) throw unfit(at, 'null is expected')
        return
      case 'boolean':
        if (typeof value !== 'boolean') throw unfit(at, 'a boolean is expected')
        this.#push(value ? 1 : 0)
        return
      case 'int':
      case 'long':
        this.#whole(type.typeName === 'int' ? 32 : 64, value, at)
        return
      case 'float':
      case 'double':
        this.#float(type.typeName, value, at)
        return
      case 'string':
        if (typeof value !== 'string') throw unfit(at, 'a text is expected')
        this.#sized(new TextEncoder().encode(value))
        return
      case 'bytes':
        this.#sized(bytesOf(value, scaleOf(type), at))
        return
      case 'fixed':
        this.#fixed(type as types.FixedType, value, at)
        return
      case 'enum':
        this.#symbol(type as types.EnumType, value, at)
        return
      default:
        this.#writeNested(type, value, at)
        return
    }
  }

  #writeNested(type: Type, value: unknown, at: string): void {
    switch (type.typeName) {
      case 'array':
        this.#array((type as types.ArrayType).itemsType, value, at)
        return
      case 'map':
        this.#map((type as types.MapType).valuesType, value, at)
        return
      case 'union:wrapped':
        this.#union((type as types.WrappedUnionType).types, value, at)
        return
      case 'record':
      case 'error':
        this.#record(type as types.RecordType, value, at)
        return
      default:
        throw unfit(at, `the schema's type ${type.typeName} is not known`)
    }
  }

  #whole(bits: number, value: unknown, at: string): void {
    const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value)
    const exact = isWhole ? BigInt(value as number | bigint) : 0n
    if (!isWhole || BigInt.asIntN(bits, exact) !== exact) {
      throw unfit(at, `a whole number of ${bits} bits is expected`)
    }
    this.#long(exact)
  }

  #float(name: 'float' | 'double', value: unknown, at: string): void {
    // The decoder gives numbers that are not JSON as texts.
    const isText = value === 'NaN' || value === 'Infinity' || value === '-Infinity'
    if (!isText && typeof value !== 'number' && typeof value !== 'bigint') {
      throw unfit(at, 'a number is expected')
    }
    const bytes = new Uint8Array(name === 'float' ? 4 : 8)
    const view = new DataView(bytes.buffer)
    if (name === 'float') view.setFloat32(0, Number(value), true)
    else view.setFloat64(0, Number(value), true)
    this.#append(bytes)
  }

  #fixed(type: types.FixedType, value: unknown, at: string): void {
    const bytes = bytesOf(value, scaleOf(type), at)
    if (scaleOf(type) === undefined && bytes.length !== type.size) {
      throw unfit(at, `base64 of ${type.size} bytes is expected`)
    }
    if (bytes.length > type.size) throw unfit(at, `a number of ${type.size} bytes is expected`)
    const sign = (bytes[0] as number) > 0x7f ? 0xff : 0
    this.#append(new Uint8Array(type.size - bytes.length).fill(sign))
    this.#append(bytes)
  }

  #symbol({ symbols }: types.EnumType, value: unknown, at: string): void {
    const index = typeof value === 'string' ? symbols.indexOf(value) : -1
    if (index < 0) throw unfit(at, `one of ${symbols.slice(0, 20).join(', ')} is expected`)
    this.#long(BigInt(index))
  }

  #array(items: Type, value: unknown, at: string): void {
    if (!Array.isArray(value)) throw unfit(at, 'an array is expected')
    if (value.length > 0) this.#long(BigInt(value.length))
    for (const [index, item] of value.entries()) this.write(items, item, `${at}[${index}]`)
    this.#push(0)
  }

  #map(values: Type, value: unknown, at: string): void {
    const entries = entriesOf(value, at)
    if (entries.length > 0) this.#long(BigInt(entries.length))
    for (const [name, inner] of entries) {
      this.#sized(new TextEncoder().encode(name))
      this.write(values, inner, within(at, name))
    }
    this.#push(0)
  }

  #record({ fields }: types.RecordType, value: unknown, at: string): void {
    const given = new Map(entriesOf(value, at))
    for (const field of fields) {
      const place = within(at, field.name)
      if (given.has(field.name)) this.write(field.type, given.get(field.name), place)
      else if (field.defaultValue() === undefined) throw unfit(place, 'it is missing')
      else this.#append(field.type.toBuffer(field.defaultValue()))
      given.delete(field.name)
    }
    const [unknown] = given.keys()
    if (unknown !== undefined) throw unfit(within(at, unknown), 'the schema has no such field')
  }

  #union(branches: readonly Type[], value: unknown, at: string): void {
    const wrapped = wrappedBranch(branches, value)
    const tried = wrapped ? [wrapped] : possibleBranches(branches, value)
    const begin = this.#length
    let error: Error | undefined
    for (const { index, value } of tried) {
      try {
        this.#long(BigInt(index))
        this.write(branches[index] as Type, value, at)
        return
      } catch (thrown) {
        error = thrown as Error
        this.#length = begin
        // Outer unions fail at once, too.
        if (++this.#failedBranches > MAX_FAILED_BRANCHES) throw error
      }
    }
    // The error of the only possible branch says more.
    if (tried.length === 1 && error) throw error
    const names = branches.map(({ branchName }) => branchName)
    throw unfit(at, `a value of ${names.slice(0, 20).join(' or ')} is expected`)
  }

  #long(value: bigint): void {
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    while (rest > 0x7fn) {
      this.#push(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    this.#push(Number(rest))
  }

  #sized(bytes: Uint8Array): void {
    this.#long(BigInt(bytes.length))
    this.#append(bytes)
  }

  #push(byte: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = byte
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + bytes))
    grown.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = grown
  }
}

/** Avro's own JSON of a union: an object of one field, which is the name of the branch. */
function wrappedBranch(branches: readonly Type[], value: unknown) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const [entry, ...others] = value instanceof Map ? value : Object.entries(value)
  if (!entry || others.length > 0) return undefined
  const index = branches.findIndex(({ branchName }) => branchName === entry[0])
  return index < 0 ? undefined : { index, value: entry[1] as unknown }
}

/** The branches that a value may be of, as far as its kind tells. */
function possibleBranches(branches: readonly Type[], value: unknown) {
  return branches.flatMap((type, index) => (mayBe(type, value) ? [{ index, value }] : []))
}

function mayBe({ typeName }: Type, value: unknown): boolean {
  switch (typeName) {
    case 'null':
      return value === null
    case 'boolean':
      return typeof value === 'boolean'
    case 'int':
    case 'long':
      return typeof value === 'bigint' || Number.isSafeInteger(value)
    case 'float':
    case 'double':
    case 'bytes':
    case 'fixed':
      return ['number', 'bigint', 'string'].includes(typeof value)
    case 'string':
    case 'enum':
      return typeof value === 'string'
    case 'array':
      return Array.isArray(value)
    default:
      return typeof value === 'object' && value !== null && !Array.isArray(value)
  }
}

function entriesOf(value: unknown, at: string): Array<[string, unknown]> {
  if (value instanceof Map) return [...(value as Map<string, unknown>)]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unfit(at, 'an object is expected')
  }
  return Object.entries(value)
}

/** @param scale Digits after the point of a decimal, which is text such as "12.50" or a number. */
function bytesOf(value: unknown, scale: number | undefined, at: string): Uint8Array<ArrayBuffer> {
  if (scale !== undefined) return decimalBytes(value, scale, at)
  try {
    if (typeof value === 'string') return fromBase64(value)
  } catch {
    // The error is thrown below.
  }
  throw unfit(at, 'base64 is expected')
}

/** A decimal's unscaled value as big-endian two's complement. */
function decimalBytes(value: unknown, scale: number, at: string): Uint8Array<ArrayBuffer> {
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : value
  const [, sign, whole = '', part = ''] =
    /^(-?)(\d{1,1000})(?:\.(\d{1,1000}))?$/.exec(typeof text === 'string' ? text : '') ?? []
  if (sign === undefined || /[1-9]/.test(part.slice(scale))) {
    throw unfit(at, `a decimal of at most ${scale} digits after the point is expected`)
  }
  let rest = BigInt(`${sign}${whole}${part.slice(0, scale).padEnd(scale, '0')}`)
  const bytes: number[] = []
  while (true) {
    bytes.unshift(Number(BigInt.asUintN(8, rest)))
    rest >>= 8n
    const isNegative = (bytes[0] as number) > 0x7f
    if ((rest === 0n && !isNegative) || (rest === -1n && isNegative)) return Uint8Array.from(bytes)
  }
}

function within(at: string, name: string): string {
  const shown = name.slice(0, 100)
  return at === '' ? shown : `${at}.${shown}`
}

function unfit(at: string, state: string): Error {
  return new Error(at === '' ? state : `${at}: ${state}`)
}
