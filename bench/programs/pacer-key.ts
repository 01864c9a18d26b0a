/** The key of a record or of a client, by its number: keys come in turn. */
export function keyOf(number: number, keys: number): string {
  return `key-${number % keys}`
}
