/** https://www.npmjs.com/package/eventsource-client */
import { createEventSource } from 'eventsource-client'
import { print, url } from './record.js'

createEventSource({
  url,
  onMessage({ event, data, id }) {
    if (event !== undefined) return
    print(data, id)
  },
})
