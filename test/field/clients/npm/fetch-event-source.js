/** https://www.npmjs.com/package/@microsoft/fetch-event-source, which is made for browsers. */
import { giveUp, print, url } from './record.js'

Object.assign(globalThis, {
  window: globalThis,
  document: { addEventListener() {}, removeEventListener() {} },
})
const { fetchEventSource } = await import('@microsoft/fetch-event-source')

await fetchEventSource(url, {
  openWhenHidden: true,
  onmessage({ event, data, id }) {
    if (event !== '') return
    print(data, id)
  },
  onclose() {
    // Without an error here the client would not come back after a stream that has ended.
    throw new Error('the stream has ended')
  },
  // Nothing: come back after the time that the stream said.
  onerror() {},
}).catch(giveUp)
