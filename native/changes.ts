/** Changes a copy of librdkafka's sources before it is compiled. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DELEGATION_TOKENS } from './delegation-tokens.ts'
import { HEADER_NAMES } from './header-names.ts'
import type { LibrdkafkaChange } from './librdkafka-change.ts'

const CHANGES: readonly LibrdkafkaChange[] = [...DELEGATION_TOKENS, ...HEADER_NAMES]

/** All changes as text, which goes into the key of the compiled addon. */
export const librdkafkaChanges = JSON.stringify(CHANGES)

/**
 * @param librdkafka The folder of a copy of librdkafka's sources.
 * @throws Error if the changes were made for other sources.
 */
export function changeLibrdkafka(librdkafka: string): void {
  for (const { file, from, to } of CHANGES) {
    const path = join(librdkafka, file)
    const parts = readFileSync(path, 'utf8').split(from)
    if (parts.length !== 2) {
      throw new Error(
        `Cannot compile the Kafka client: librdkafka's ${file} is not as native/changes.ts expects it`,
      )
    }
    writeFileSync(path, parts.join(to))
  }
}
