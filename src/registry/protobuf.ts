import protobuf from 'protobufjs'
import protojson from 'protobufjs/ext/protojson.js'
import type { NamedDecoder } from './schemas.ts'

/**
 * A decoder of Protobuf messages into ProtoJSON
 * (https://protobuf.dev/programming-guides/json/): names in lowerCamelCase, 64-bit numbers as text,
 * bytes as base64, without fields that have their default.
 *
 * @param text The .proto file.
 * @param referred The files that it imports, by the path in the import.
 * @throws Error when the text is not a valid .proto file.
 */
export function protobufDecoder(text: string, referred: ReadonlyMap<string, string>): NamedDecoder {
  const root = new protobuf.Root()
  const main = protobuf.parse(text, root)
  const parsed = new Set<string>()
  const include = (paths: readonly string[] | undefined) => {
    for (const path of paths ?? []) {
      if (parsed.has(path)) continue
      parsed.add(path)
      const given = referred.get(path)
      if (given !== undefined) {
        const { imports, weakImports } = protobuf.parse(given, root)
        include(imports)
        include(weakImports)
      } else {
        const common = protobuf.common.get(path)
        if (!common) throw new Error(`its import ${path} is not among its references`)
        root.addJSON(common.nested ?? {})
      }
    }
  }
  // The declarations so far are the file's own; message indexes count in their order.
  const scope = main.package ? root.lookup(main.package) : root
  const messages = messagesIn(scope as protobuf.NamespaceBase)
  include(main.imports)
  include(main.weakImports)
  root.resolveAll()
  return {
    decode: (payload) => {
      const { indexes, length } = readIndexes(payload)
      const type = find(messages, indexes)
      return protojson.toJsonString(type, type.decode(payload.subarray(length)))
    },
    nameOf: (payload) => find(messages, readIndexes(payload).indexes).fullName.replace(/^\./, ''),
  }
}

function messagesIn(scope: protobuf.NamespaceBase): protobuf.Type[] {
  return scope.nestedArray.filter((nested) => nested instanceof protobuf.Type)
}

/** The deepest nesting of messages: deeper schemas are not sensible. */
const MAX_DEPTH = 100

/** Reads which message a payload holds: a count and that many indexes as zigzag varints, or a single 0 for the first message. */
function readIndexes(payload: Uint8Array): { indexes: number[]; length: number } {
  const reader = protobuf.Reader.create(payload)
  const count = reader.sint32()
  if (count < 0 || count > MAX_DEPTH) throw new Error(`it has ${count} message indexes`)
  const indexes = count === 0 ? [0] : Array.from({ length: count }, () => reader.sint32())
  return { indexes, length: reader.pos }
}

function find(messages: readonly protobuf.Type[], indexes: readonly number[]): protobuf.Type {
  let among = messages
  let found: protobuf.Type | undefined
  for (const index of indexes) {
    found = among[index]
    if (!found) throw new Error(`the schema has no message ${indexes.join('.')}`)
    among = messagesIn(found)
  }
  return found as protobuf.Type
}
