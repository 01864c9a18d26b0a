/** The common part of these programs: the address that they read, and the line that they print for each record. */

/** The route's address, with its parameters. */
export const url = process.argv[2] ?? ''

// A client's own timer may let the process end: version 5 of eventsource waits with one of those.
setInterval(() => {}, 60_000)

/**
 * Prints a record's place and the id that came with it.
 * @param {string} data
 * @param {string | undefined} id
 */
export function print(data, id) {
  const { partition, offset } = JSON.parse(data)
  process.stdout.write(`${JSON.stringify({ partition, offset, id })}\n`)
}

/**
 * Ends the program when its client has given up for good.
 * @param {unknown} reason
 * @returns {never}
 */
export function giveUp(reason) {
  console.error(reason)
  process.exit(1)
}
