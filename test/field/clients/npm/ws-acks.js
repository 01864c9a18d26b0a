/** https://www.npmjs.com/package/ws, reading as the consumer group: the group knows where to go on. */
import WebSocket from 'ws'
import { print, url } from './record.js'

const REOPEN_MS = 500

function connect() {
  const socket = new WebSocket(url)
  socket.on('message', (text) => {
    const { topic, partition, offset } = JSON.parse(String(text))
    if (offset === undefined) return
    print(String(text), undefined)
    socket.send(JSON.stringify({ ack: { topic, partition, offset } }))
  })
  socket.on('error', () => {})
  socket.on('close', () => setTimeout(connect, REOPEN_MS))
}

connect()
