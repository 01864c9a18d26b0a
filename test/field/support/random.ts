/** Numbers of chance that come again with the same seed. */

/** Shown by a run; `FIELD_SEED` repeats it. */
export const SEED = Number(process.env['FIELD_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/**
 * Numbers from 0 up to 1, by mulberry32.
 *
 * @param name Each name has numbers of its own, whatever the others ask for.
 */
export function randomOf(name: string): () => number {
  let state = Number(Bun.hash.xxHash32(name, SEED))
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
