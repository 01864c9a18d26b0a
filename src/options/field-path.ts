/** A path to a field of an entry: names, and indexes of arrays from 1. */
export type FieldPath = ReadonlyArray<string | number>

/**
 * Parses the name of a field as Kong's logs have it: a dot makes nested fields, `\.` is a dot, and
 * `a[1].b` is the first element of an array.
 *
 * @returns undefined for a text that is not such a name.
 */
export function parseFieldPath(text: string): FieldPath | undefined {
  const path: Array<string | number> = []
  for (const part of text.split(/(?<!\\)\./)) {
    const [, name = '', indexes = ''] = /^(.*?)((?:\[[1-9]\d{0,3}\])*)$/.exec(part) ?? []
    if (name === '' || /\[[^\]]*\]$/.test(name)) return undefined
    path.push(name.replaceAll('\\.', '.'))
    for (const [, index] of indexes.matchAll(/\[(\d+)\]/g)) path.push(Number(index))
  }
  return path
}
