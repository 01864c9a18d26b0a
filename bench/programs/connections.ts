/** Event streams on connections of each kind, by Node's own clients, which take what comes. */

import { request as requestPlain } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import { request as requestSecure } from 'node:https'
import { serveCommands } from './serve.ts'

export type Connections = typeof commands

/** `https` is HTTP/1.1 over TLS. */
export type ConnectionForm = 'http' | 'https' | 'http2'

/** Streams that are opened at the same time. */
const OPENING = 50
/** Streams of one HTTP/2 connection: as many as servers commonly allow, less some to spare. */
const STREAMS_EACH = 60
const MARK = '"value":"'

let events = 0
const closers: Array<() => void> = []

const commands = {
  /** Opens streams; resolves when all of them have received their answer's head. */
  async open({ port, form, count }: { port: number; form: ConnectionForm; count: number }) {
    let left = count
    let session: ClientHttp2Session | undefined
    const one = async () => {
      while (left > 0) {
        const isFirst = (count - left) % STREAMS_EACH === 0
        left--
        if (form !== 'http2') await openHttp1(port, form)
        else {
          if (isFirst || !session) session = connectHttp2(port)
          await openHttp2(session)
        }
      }
    }
    await Promise.all(Array.from({ length: OPENING }, one))
  },

  /** The events since the last call. */
  take() {
    const taken = events
    events = 0
    return { events: taken }
  },

  close() {
    for (const close of closers.splice(0)) close()
  },
}

serveCommands(commands)

function connectHttp2(port: number): ClientHttp2Session {
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  closers.push(() => session.destroy())
  return session
}

function openHttp2(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/stream', accept: 'text/event-stream' })
    stream.on('response', (headers) => {
      if (headers[':status'] === 200) resolve()
      else reject(new Error(`Cannot open a stream: status ${headers[':status']}`))
    })
    stream.on('error', reject)
    stream.on('data', count)
  })
}

function openHttp1(port: number, form: 'http' | 'https'): Promise<void> {
  return new Promise((resolve, reject) => {
    const open = form === 'http' ? requestPlain : requestSecure
    const options = {
      host: '127.0.0.1',
      port,
      path: '/stream',
      agent: false,
      headers: { accept: 'text/event-stream' },
    }
    const request = open({ ...options, ...(form === 'https' && { rejectUnauthorized: false }) })
    request.on('response', (response) => {
      if (response.statusCode === 200) resolve()
      else reject(new Error(`Cannot open a stream: status ${response.statusCode}`))
      response.on('data', count)
      response.on('error', () => {})
    })
    request.on('error', reject)
    request.end()
    closers.push(() => request.destroy())
  })
}

function count(bytes: Buffer): void {
  for (let at = bytes.indexOf(MARK); at >= 0; at = bytes.indexOf(MARK, at + MARK.length)) events++
}
