/** https://www.npmjs.com/package/eventsource */
import { EventSource } from 'eventsource-4'
import { giveUp, print, url } from './record.js'

const source = new EventSource(url)
source.addEventListener('message', ({ data, lastEventId }) => print(data, lastEventId))
source.addEventListener('error', (error) => {
  if (source.readyState === EventSource.CLOSED) giveUp(error)
})
