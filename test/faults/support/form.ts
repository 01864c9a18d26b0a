/** Whether the suite runs in its long form, `bun run test:faults`, or as a part of all tests. */
const isLong = process.env['FAULTS'] === 'long'

/** The sizes of a test in its short form and in its long form. */
export function sized<T>(short: T, long: T): T {
  return isLong ? long : short
}
