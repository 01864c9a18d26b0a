/** The package's own client, reading as the consumer group. */
import { socket } from '../../../../src/client/index.ts'
import { giveUp, print, url } from '../npm/record.js'

try {
  const address = new URL(url)
  address.searchParams.delete('acks')
  for await (const record of socket(address, { acks: true })) {
    print(JSON.stringify(record), undefined)
  }
} catch (error) {
  giveUp(error)
}
