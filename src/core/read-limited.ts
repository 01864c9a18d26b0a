import { concatBytes } from './bytes.ts'

/**
 * Reads a body up to a limit. A body that is longer is cancelled there, and is not read to its end.
 *
 * @param onBytes Called with the number of bytes of each part; what it throws ends the reading.
 * @returns undefined for a body of more than `maxBytes` bytes.
 * @throws what the body's stream throws, as when its client disconnects.
 */
export async function readLimited(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  maxBytes: number,
  onBytes?: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let length = 0
  for await (const chunk of body ?? []) {
    length += chunk.length
    onBytes?.(chunk.length)
    if (length > maxBytes) return undefined
    chunks.push(chunk)
  }
  const [only] = chunks
  if (only && chunks.length === 1) return only
  return concatBytes(chunks)
}
