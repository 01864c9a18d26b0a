/** Why a server refuses the handshake of a WebSocket. No runtime tells its programs. */
import { answeredError, type KafkaStreamError } from './errors.ts'

const TIMEOUT_MS = 10_000
/**
 * Statuses that say nothing about the handshake: the server wants one (426), or does not answer HEAD.
 */
const INCONCLUSIVE = [405, 426]

/**
 * Asks by HTTP, where a handshake has failed: HEAD takes no records, also as the group.
 *
 * @param socketUrl Of the handshake.
 * @returns undefined where the answer does not explain a refusal.
 */
export async function refusalOf(
  socketUrl: URL,
  signal: AbortSignal | undefined,
): Promise<KafkaStreamError | undefined> {
  const address = new URL(socketUrl)
  address.protocol = address.protocol.replace('ws', 'http')
  // A read without a socket knows no acknowledgements.
  for (const name of ['acks', 'max_unacked']) address.searchParams.delete(name)
  const late = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const answer = await fetch(address, {
      method: 'HEAD',
      cache: 'no-store',
      // The handshake takes cookies along, also to another origin.
      credentials: 'include',
      signal: signal ? AbortSignal.any([signal, late]) : late,
    })
    const { status } = answer
    return status < 400 || INCONCLUSIVE.includes(status) ? undefined : answeredError(answer, '')
  } catch {
    // The server is out of reach, or its page of another origin is not for this one.
  }
}
