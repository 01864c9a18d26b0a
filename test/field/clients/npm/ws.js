/**
 * https://www.npmjs.com/package/ws, which has no way of its own to come back: this one is that of
 * docs/protocol.md. The position is the last cursor, with each partition's last offset plus 1.
 */
import WebSocket from 'ws'
import { print, url } from './record.js'

const REOPEN_MS = 500
let topic = ''
/** Next offsets by partition. @type {Map<string, number>} */
const positions = new Map()

function connect() {
  const address = new URL(url)
  if (positions.size > 0) {
    const places = [...positions].map(([partition, offset]) => `${partition}=${offset}`)
    address.searchParams.delete('start')
    address.searchParams.set('cursor', `${topic}:${places.join(',')}`)
  }
  const socket = new WebSocket(address)
  socket.on('message', (text) => take(String(text)))
  // What went wrong does not matter: the connection is closed after it.
  socket.on('error', () => {})
  socket.on('close', () => setTimeout(connect, REOPEN_MS))
}

/** @param {string} text */
function take(text) {
  const { cursor, ...record } = JSON.parse(text)
  if (record.offset !== undefined) {
    positions.set(String(record.partition), record.offset + 1)
    print(text, undefined)
  } else if (typeof cursor === 'string') {
    const [name = '', places = ''] = cursor.split(':')
    topic = name
    for (const place of places.split(',')) {
      const [partition = '', offset] = place.split('=')
      positions.set(partition, Number(offset))
    }
  }
}

connect()
