/** The key of a record or client, by its number: keys are used in turn. */
export function keyOf(number: number, keys: number): string {
  return `key-${number % keys}`
}
