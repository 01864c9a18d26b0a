/** The package's own client, by WebSocket. */
import { socket } from '../../../../src/client/index.ts'
import { giveUp, print, url } from '../npm/record.js'

try {
  for await (const record of socket(url)) print(JSON.stringify(record), record.cursor)
} catch (error) {
  giveUp(error)
}
