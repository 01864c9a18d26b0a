/** Whether the suite runs in its long form, `bun run test:faults`, or as a part of all tests. */
const isLong = process.env['FAULTS'] === 'long'

/** What a test does in the short form, and in the long one. */
export function sized<T>(short: T, long: T): T {
  return isLong ? long : short
}
