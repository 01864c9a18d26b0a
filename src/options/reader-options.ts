/** The options of `kafkaReader`: those of `kafkaConsume` that concern reading. */
import { optionsSchema, type ResolvedOptions } from './consume-options.ts'
import { resolveBy } from './resolve.ts'

/** Options of answers and streams, which the handlers behind `kafkaReader` make themselves. */
const ANSWER_OPTIONS = [
  'mode',
  'responseFormat',
  'format',
  'compression',
  'filters',
  'pageCaching',
  'pageMaxAge',
  'heartbeat',
  'writeDeadline',
  'maxStreamAge',
  'maxSubscribers',
  'maxAnswerBytes',
  'errorHandling',
] as const

export type AnswerOption = (typeof ANSWER_OPTIONS)[number]

/**
 * Checks options of `kafkaReader` and fills in the defaults. An option of answers is refused: a user
 * who sets one would believe that it has an effect.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 */
export function resolveReaderOptions(options: object): ResolvedOptions {
  const given: Partial<Record<AnswerOption, unknown>> = Object(options)
  const withoutEffect = ANSWER_OPTIONS.filter((name) => given[name] !== undefined).map(
    (name) =>
      `${name}: kafkaReader has no such option, since the handlers behind it answer; kafkaConsume has it`,
  )
  return resolveBy(optionsSchema, options, 'kafkaReader', withoutEffect)
}
