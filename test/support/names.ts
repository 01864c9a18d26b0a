const run = Math.random().toString(36).slice(2, 8)
let count = 0

/** A name that no other test, file or run uses: for topics and groups. */
export function uniqueName(prefix: string): string {
  count += 1
  return `${prefix}-${run}-${process.pid}-${count}`
}
