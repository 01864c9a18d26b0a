import { KafkaConsumeError } from '../../core/errors.ts'
import type { ResolvedOptions } from '../../options/consume-options.ts'
import { FORMATS, type Format, formatBy } from '../../records/format.ts'
import type { FormatName } from '../request/parameters.ts'

/** What a client is shown. */
interface Shape {
  /** `array`: what the format makes of records, and nothing around it. */
  readonly list: 'kong' | 'flat' | 'array'
  /** Absent: records are shown whole. */
  readonly format: Format | undefined
}

/**
 * @param asked What the query names.
 * @throws KafkaConsumeError INVALID_PARAMETER when the route has a format of its own: what it leaves
 *   out is not to be had otherwise.
 */
export function chooseFormat(asked: FormatName | undefined, options: ResolvedOptions): Shape {
  if (options.format) {
    if (asked === undefined) return { list: 'array', format: formatBy(options.format) }
    throw new KafkaConsumeError(
      'INVALID_PARAMETER',
      'Cannot use parameter "format": this route has a format of its own',
    )
  }
  const name = asked ?? options.responseFormat
  if (name === 'kong') return { list: 'kong', format: undefined }
  if (name === 'records') return { list: 'flat', format: undefined }
  return { list: 'array', format: FORMATS[name] }
}
