/** Tells what a test of faults has counted. */
export function report(faults: string, counts: Readonly<Record<string, number>>): void {
  const text = Object.entries(counts).map(
    ([name, count]) => `${count.toLocaleString('en')} ${name}`,
  )
  console.log(`${faults}: ${text.join(', ')}`)
}
