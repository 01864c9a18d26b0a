/** Whether the suite runs in its long form, `bun run test:field`, or as a part of all tests. */
export const isLong = process.env['FIELD'] === 'long'

/** The sizes of a test in its short form and in its long form. */
export function sized<T>(short: T, long: T): T {
  return isLong ? long : short
}
