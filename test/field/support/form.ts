/** Whether the suite runs in its long form, `bun run test:field`, or as a part of all tests. */
export const isLong = process.env['FIELD'] === 'long'

/** What a test does in the short form, and in the long one. */
export function sized<T>(short: T, long: T): T {
  return isLong ? long : short
}
