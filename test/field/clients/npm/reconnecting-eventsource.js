/** https://www.npmjs.com/package/reconnecting-eventsource, around another package's EventSource. */
import { EventSource } from 'eventsource-5'
import reconnecting from 'reconnecting-eventsource'
import { print, url } from './record.js'

const ReconnectingEventSource = reconnecting.default ?? reconnecting
const source = new ReconnectingEventSource(url, { eventSourceClass: EventSource })
// It keeps the last id of events that a listener was added for.
source.addEventListener('message', ({ data, lastEventId }) => print(data, lastEventId))
