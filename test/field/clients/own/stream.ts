/** The package's own client, by an event stream. */
import { stream } from '../../../../src/client/index.ts'
import { giveUp, print, url } from '../npm/record.js'

try {
  for await (const record of stream(url)) print(JSON.stringify(record), record.cursor)
} catch (error) {
  giveUp(error)
}
