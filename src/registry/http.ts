import { KafkaConsumeError } from '../core/errors.ts'
import { readLimited } from '../core/read-limited.ts'

const TIMEOUT_MS = 5_000
/** The most bytes of an answer: Confluent's own registry takes schemas of up to 1 MB. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024

interface RegistryRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: URLSearchParams
  /** Whether the server's certificate is verified. `false` works on Bun only. */
  readonly sslVerify: boolean
  /** Milliseconds. Default: 5,000. */
  readonly timeout?: number
  /** The server's name in messages. */
  readonly server: string
}

/**
 * Requests JSON.
 *
 * @returns The status, and the body when it is JSON.
 * @throws KafkaConsumeError SCHEMA_REGISTRY_UNAVAILABLE when there is no answer.
 */
export async function ask(
  url: URL,
  { sslVerify, server, timeout = TIMEOUT_MS, method = 'GET', headers, body }: RegistryRequest,
): Promise<{ status: number; body: unknown }> {
  try {
    const response = await fetch(url, {
      method,
      headers,
      ...(body && { body }),
      signal: AbortSignal.timeout(timeout),
      ...(!sslVerify && { tls: { rejectUnauthorized: false } }),
    } as RequestInit)
    const bytes = await readLimited(response.body, MAX_ANSWER_BYTES)
    if (!bytes) throw new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`)
    return { status: response.status, body: jsonIn(new TextDecoder().decode(bytes)) }
  } catch (cause) {
    throw new KafkaConsumeError(
      'SCHEMA_REGISTRY_UNAVAILABLE',
      `Cannot read schemas: ${server} does not answer`,
      { cause, detail: cause instanceof Error ? cause.message : String(cause) },
    )
  }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
