import type { RegistryOptions } from '../options/registry-options.ts'
import {
  type PipelineStep,
  type ProcessedRecord,
  RecordFailure,
  type RecordField,
} from '../records/pipeline.ts'
import { firstLine, type SchemaLookup, Schemas } from './schemas.ts'

/** Bytes before the payload: a magic byte, and the schema id in four bytes, big-endian. */
const HEADER_BYTES = 5

/**
 * Steps that deserialize by schema registries: one for values, one for keys. A value of a topic with
 * a registry must begin with a schema id. A key without one stays as it is, since many topics have
 * plain keys beside values of a registry.
 *
 * @param registries By topic.
 */
export function registrySteps(registries: ReadonlyMap<string, RegistryOptions>): PipelineStep[] {
  const made = new Map<string, Schemas>()
  const schemas = new Map<string, Schemas>()
  for (const [topic, options] of registries) {
    const name = JSON.stringify(options)
    const one = made.get(name) ?? new Schemas(options)
    made.set(name, one)
    schemas.set(topic, one)
  }
  return [stepOf('value', schemas), stepOf('key', schemas)]
}

function stepOf(field: RecordField, schemas: ReadonlyMap<string, Schemas>): PipelineStep {
  return {
    code: 'DESERIALIZATION_FAILED',
    run(record) {
      const bytes = record[field]
      const from = schemas.get(record.topic)
      if (bytes === null || !from) return record
      const id = schemaIdIn(bytes)
      if (id === undefined) {
        if (field === 'key') return record
        throw failure(field, 'it does not begin with the id of a schema')
      }
      const lookup = from.get(id)
      return lookup instanceof Promise
        ? lookup.then((late) => decoded(record, field, bytes, late))
        : decoded(record, field, bytes, lookup)
    },
  }
}

/** Schema ids count from 1. Bytes that begin with five zeros are a binary number, as keys may be. */
function schemaIdIn(bytes: Uint8Array): number | undefined {
  if (bytes.length < HEADER_BYTES || bytes[0] !== 0) return undefined
  const id = new DataView(bytes.buffer, bytes.byteOffset + 1, 4).getUint32(0)
  return id === 0 ? undefined : id
}

function decoded(
  record: ProcessedRecord,
  field: RecordField,
  bytes: Uint8Array,
  lookup: SchemaLookup,
): ProcessedRecord {
  if ('failure' in lookup) throw failure(field, lookup.failure)
  try {
    const payload = bytes.subarray(HEADER_BYTES)
    return {
      ...record,
      [`${field}Json`]: lookup.decode(payload),
      schemaJson: { ...record.schemaJson, [field]: lookup.schemaOf(payload) },
    }
  } catch (error) {
    throw failure(field, firstLine(error))
  }
}

function failure(field: RecordField, state: string): RecordFailure {
  return new RecordFailure(`Cannot deserialize the ${field}: ${state}`, [field])
}
