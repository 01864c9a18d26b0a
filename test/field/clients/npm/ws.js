/**
 * https://www.npmjs.com/package/ws, which has no way of its own to come back: this one is that of
 * docs/websocket.md.
 */
import WebSocket from 'ws'
import { print, url } from './record.js'

const REOPEN_MS = 500
/** The newest one that came. @type {string | undefined} */
let cursor

function connect() {
  const address = new URL(url)
  if (cursor !== undefined) {
    address.searchParams.delete('start')
    address.searchParams.set('cursor', cursor)
  }
  const socket = new WebSocket(address)
  socket.on('message', (text) => {
    const frame = JSON.parse(String(text))
    cursor = frame.cursor ?? cursor
    if (frame.topic !== undefined) print(String(text), frame.cursor)
  })
  // The error is ignored: the connection is closed after it.
  socket.on('error', () => {})
  socket.on('close', () => setTimeout(connect, REOPEN_MS))
}

connect()
