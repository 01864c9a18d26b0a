import { concatBytes } from './bytes.ts'

/**
 * Reads a body up to a limit. A body that is longer is cancelled there, and is not read to its end.
 *
 * @param keep Called with the number of bytes of each part; what it throws ends the reading. Once it
 *   returns false, no part is kept, and the body is only read on up to the limit.
 * @returns undefined for a body of more than `maxBytes` bytes, or one that was not kept.
 * @throws what the body's stream throws, as when its client disconnects.
 */
export async function readLimited(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  maxBytes: number,
  keep: (bytes: number) => boolean = () => true,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let length = 0
  let isKept = true
  for await (const chunk of body ?? []) {
    length += chunk.length
    isKept = keep(chunk.length) && isKept
    if (length > maxBytes) return undefined
    if (isKept) chunks.push(chunk)
    else chunks.length = 0
  }
  if (!isKept) return undefined
  const [only] = chunks
  if (only && chunks.length === 1) return only
  return concatBytes(chunks)
}
