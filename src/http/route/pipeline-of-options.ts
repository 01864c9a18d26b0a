import type { ResolvedOptions } from '../../options/consume-options.ts'
import type { KafkaCluster } from '../../port/kafka.ts'
import { deadLettersIn } from '../../records/dead-letters.ts'
import { jsonStep } from '../../records/json-step.ts'
import { luaStep } from '../../records/lua/step.ts'
import { type PipelineStep, pipelineOf } from '../../records/pipeline.ts'
import { RecordProcessor } from '../../records/record-processor.ts'
import { transformStep } from '../../records/transform.ts'
import { checkStep, schemaStep } from '../../records/validate-record.ts'
import { registrySteps } from '../../registry/step.ts'
import { nameOf } from './function-names.ts'

/** Routes with equal keys can share a processor. Functions and schemas are compared by identity. */
export function pipelineKey(options: ResolvedOptions): readonly unknown[] {
  const { registries, transform, messageByLuaFunctions = [], schemas, schemasOnlyCheck } = options
  const schemaIds = [...schemas].map(([topic, { value, key, headers }]) => [
    topic,
    ...[value, key, headers].map(nameOf),
  ])
  const validation = [schemaIds, schemasOnlyCheck === true]
  return [
    [...registries],
    nameOf(transform),
    messageByLuaFunctions,
    validation,
    dlqTopicOf(options),
  ]
}

/** The processor of a route's records; undefined when its options leave records as they are. */
export function processorFor(
  options: ResolvedOptions,
  cluster: KafkaCluster,
): RecordProcessor | undefined {
  const {
    messageDeserializer,
    registries,
    messageByLuaFunctions = [],
    transform,
    schemas,
    schemasOnlyCheck = false,
  } = options
  const dlqTopic = dlqTopicOf(options)
  const changes: PipelineStep[] = []
  if (messageByLuaFunctions.length > 0) changes.push(luaStep(messageByLuaFunctions))
  if (transform) changes.push(transformStep(transform))
  if (schemas.size > 0) changes.push(schemasOnlyCheck ? checkStep(schemas) : schemaStep(schemas))
  const steps: PipelineStep[] = []
  if (registries.size > 0) steps.push(...registrySteps(registries))
  if (messageDeserializer === 'json' && (changes.length > 0 || dlqTopic)) steps.push(jsonStep)
  steps.push(...changes)
  if (steps.length === 0) return undefined
  const deadLetter = dlqTopic ? deadLettersIn(dlqTopic, () => cluster.producer('each')) : undefined
  const counts = { failed: 0, deadLetters: 0, reducedDeadLetters: 0 }
  const close = async () => {
    await Promise.all(steps.map((step) => step.close?.()))
  }
  return new RecordProcessor(pipelineOf(steps, deadLetter, counts), close, counts)
}

function dlqTopicOf({ enableDlq, dlqTopic }: ResolvedOptions): string | undefined {
  return enableDlq ? dlqTopic : undefined
}
