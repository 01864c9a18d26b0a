import type { RegistryOptions } from '../options/registry-options.ts'
import {
  type PipelineStep,
  type ProcessedRecord,
  RecordFailure,
  type RecordField,
} from '../records/pipeline.ts'
import { firstLine, type Known, Schemas } from './schemas.ts'

/** A magic byte, and the id of a schema in four bytes, the highest first. */
const HEADER = 5

/**
 * Registries as steps: one for values, one for keys. Values of topics that have a registry must name
 * their schema; a key that names none is taken as it is, since many topics have registry values and
 * plain keys.
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
      const known = from.get(id)
      return known instanceof Promise
        ? known.then((late) => decoded(record, field, bytes, late))
        : decoded(record, field, bytes, known)
    },
  }
}

/** Ids count from 1: what begins with five zeros is a number in binary, as keys may be. */
function schemaIdIn(bytes: Uint8Array): number | undefined {
  if (bytes.length < HEADER || bytes[0] !== 0) return undefined
  const id = new DataView(bytes.buffer, bytes.byteOffset + 1, 4).getUint32(0)
  return id === 0 ? undefined : id
}

function decoded(
  record: ProcessedRecord,
  field: RecordField,
  bytes: Uint8Array,
  known: Known,
): ProcessedRecord {
  if ('failure' in known) throw failure(field, known.failure)
  try {
    return { ...record, [`${field}Json`]: known.decode(bytes.subarray(HEADER)) }
  } catch (error) {
    throw failure(field, firstLine(error))
  }
}

function failure(field: RecordField, state: string): RecordFailure {
  return new RecordFailure(`Cannot deserialize the ${field}: ${state}`, [field])
}
