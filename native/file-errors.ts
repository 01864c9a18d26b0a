/** Errors of the file system, with what the user can do about them. */
import { cacheFolder } from './cache.ts'

/** Node, SQLite and compilers say in these words that a disk or a quota is full. */
const FULL = /\bENOSPC\b|\bEDQUOT\b|no space left on device|disk quota exceeded|disk is full/i

/** The space that compiling needs, rounded up. */
const NEEDED_MB = 100

/** The text of an error that ends the set-up. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const message = 'syscall' in error ? `Cannot set up: ${error.message}` : error.message
  if (!FULL.test(message)) return message
  return `${message}
A disk is full. The cache ${cacheFolder()} needs ${NEEDED_MB} MB while the Kafka client is compiled. Make room,
or name a folder on another disk by the variable HONO_KAFKA_CONSUME_CACHE.`
}
