/** The package's own client on a page, whose address has the stream's behind `#`. */
import { stream } from '../../../../src/client/index.ts'

// Functions that Playwright gives to the page.
declare function show(line: string): void
declare function giveUp(): void

try {
  for await (const record of stream(decodeURIComponent(location.hash.slice(1)))) {
    const { partition, offset, cursor } = record
    show(JSON.stringify({ partition, offset, id: cursor }))
  }
} catch (error) {
  console.error(error)
  giveUp()
}
