import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withLock } from '../../tools/kafka/lock.ts'
import { freePorts } from '../../tools/kafka/ports.ts'

const LOCK = join(tmpdir(), 'hono-kafka-consume-test', 'default-ports.lock')
const LOCK_LIMIT_MS = 120_000

/**
 * A port of 127.0.0.1 on which nothing listens: for a server that starts later, or again. The system
 * gives it neither to connections nor to servers that ask for any port, so it stays free meanwhile.
 */
export async function freePort(): Promise<number> {
  const [port] = (await freePorts(1)) as [number]
  return port
}

/** Runs tests that use a gateway's default ports one after another, those of other processes too. */
export function withDefaultPorts<T>(work: () => Promise<T>): Promise<T> {
  return withLock(LOCK, LOCK_LIMIT_MS, work)
}
