/** Checks what handlers pass to the methods of `c.var.kafka`, as the query of a request is checked. */
import * as v from 'valibot'
import { KafkaConsumeError } from '../core/errors.ts'
import { record, whole } from '../options/fields.ts'
import { errorsBy } from '../options/resolve.ts'
import type { StreamFrom } from './reader-types.ts'
import { MAX_BYTES, MAX_RECORDS } from './request/parameters.ts'

/** Timers of more milliseconds than 2^31-1 overflow, and fire at once. */
const MAX_TIMEOUT_MS = 24 * 86_400_000

const signal = v.optional(
  v.custom<NonNullable<StreamFrom['signal']>>(isSignal, 'an AbortSignal is required'),
)

const limits = {
  maxRecords: v.optional(whole('records', 1, MAX_RECORDS), 500),
  maxBytes: v.optional(whole('bytes', 1, MAX_BYTES), 1024 * 1024),
  // The rest of a handler's time may be negative, or a fraction.
  timeout: v.optional(
    v.pipe(
      v.number('a number of milliseconds is required'),
      v.transform((ms) => Math.max(0, Math.min(ms, MAX_TIMEOUT_MS))),
    ),
    1_000,
  ),
  signal,
}

const position = {
  start: v.optional(
    v.pipe(
      v.custom<'earliest' | 'latest' | number>(
        isStart,
        '"earliest", "latest" or milliseconds from 0 to 2^53-1 are required',
      ),
      // Kafka's timestamps are whole milliseconds: round up to the first one that is not before the time.
      v.transform((start) => (typeof start === 'number' ? Math.ceil(start) : start)),
    ),
    'latest',
  ),
  cursor: v.optional(v.string('the cursor of a record or of an earlier read is required')),
}

const pollParameters = record(limits)
const readParameters = record({ ...position, ...limits })
const streamParameters = record({
  ...position,
  signal,
  onGap: v.optional(
    v.custom<NonNullable<StreamFrom['onGap']>>(isFunction, 'a function is required'),
  ),
})

/** @throws KafkaConsumeError INVALID_PARAMETER, whose message names each wrong field and what is allowed. */
export function parsePollParameters(given: unknown) {
  return parseBy(pollParameters, given, 'poll')
}

/** @throws KafkaConsumeError INVALID_PARAMETER, whose message names each wrong field and what is allowed. */
export function parseReadParameters(given: unknown) {
  return parseBy(readParameters, given, 'read')
}

/** @throws KafkaConsumeError INVALID_PARAMETER, whose message names each wrong field and what is allowed. */
export function parseStreamParameters(given: unknown) {
  return parseBy(streamParameters, given, 'stream')
}

function parseBy<T extends v.GenericSchema>(
  schema: T,
  given: unknown,
  method: string,
): v.InferOutput<T> {
  const result = v.safeParse(schema, given)
  if (result.success) return result.output
  const errors = errorsBy(schema, result.issues, 'parameter')
  throw new KafkaConsumeError('INVALID_PARAMETER', `Cannot ${method}: ${errors.join('; ')}`)
}

function isStart(start: unknown): boolean {
  if (start === 'earliest' || start === 'latest') return true
  return typeof start === 'number' && start >= 0 && start <= Number.MAX_SAFE_INTEGER
}

/** Whether it can be used as a signal: an app may have an `AbortSignal` that is not the runtime's own. */
function isSignal(signal: unknown): boolean {
  return signal instanceof Object && 'aborted' in signal && 'addEventListener' in signal
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}
