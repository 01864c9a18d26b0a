/** Options that are given as text, or by the name of a file: certificates, keys and passwords. */
import { readFileSync } from 'node:fs'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import type { TextOrFile } from '../../src/port/cluster-options.ts'

/**
 * The text of an option, or the content of its file without white space around it.
 *
 * @param name The option's path, such as `security.ca`.
 * @throws KafkaConsumeError INVALID_OPTIONS that names the option and the file.
 */
export function readText(given: TextOrFile, name: string): string {
  if (typeof given === 'string') return given
  try {
    return readFileSync(given.file, 'utf8').trim()
  } catch (error) {
    const state = (error as NodeJS.ErrnoException).code ?? 'it cannot be read'
    throw cannotUse(name, given, state, error)
  }
}

/** The error of such an option. @param state What is wrong with it: "it holds no certificate in PEM". */
export function cannotUse(
  name: string,
  given: TextOrFile,
  state: string,
  cause?: unknown,
): KafkaConsumeError {
  const place = typeof given === 'string' ? '' : `${given.file}: `
  const message = `Cannot use ${name} for Kafka: ${place}${state}`
  return new KafkaConsumeError('INVALID_OPTIONS', message, { cause })
}
