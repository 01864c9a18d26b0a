/** Converts field names between Kong's spelling (`dlq_topic`) and ours (`dlqTopic`). */
const MARKED = /_([a-z])|([A-Z])/g

/**
 * A field's name in the other spelling: Kong's `dlq_topic` is our `dlqTopic`.
 *
 * It is its own inverse for every text, so that a document in the wrong spelling stays wrong:
 * Kong's `dlqTopic` would be our `dlq_topic`, which is none of our fields.
 */
export function renameKey(key: string): string {
  return key.replace(MARKED, (_, small?: string, capital?: string) =>
    small === undefined ? `_${capital?.toLowerCase()}` : small.toUpperCase(),
  )
}
