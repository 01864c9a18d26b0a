/**
 * One HTTP/2 connection of Node's own client, which Http2Client of http2.ts drives. It reads commands
 * as lines of JSON, and writes what happens as such.
 */
import { connect, constants } from 'node:http2'
import { createInterface } from 'node:readline'

const [, , url, window = '65535'] = process.argv
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
const session = connect(url, {
  rejectUnauthorized: false,
  settings: { initialWindowSize: Number(window) },
})
const streams = new Map()
session.on('connect', () => {
  if (Number(window) > 65_535) session.setLocalWindowSize(Number(window))
  const { subject } = session.socket.getPeerCertificate()
  say({ connected: session.alpnProtocol, subject: subject.CN })
})
session.on('goaway', (code) => say({ goaway: code }))
session.on('error', ({ code }) => say({ error: code }))
session.on('close', () => say({ closed: true }))

const commands = {
  open({ id, path, headers, isPaused }) {
    const stream = session.request({ ':path': path, ...headers })
    streams.set(id, stream)
    stream.setEncoding('utf8')
    stream.on('response', (answered) => say({ id, headers: answered }))
    stream.on('error', ({ code }) => say({ id, error: code }))
    stream.on('end', () => say({ id, ended: true }))
    stream.on('close', () => say({ id, code: stream.rstCode }))
    if (isPaused) stream.pause()
    else stream.on('data', (data) => say({ id, data }))
  },
  resume({ id }) {
    streams.get(id).on('data', (data) => say({ id, data }))
    streams.get(id).resume()
  },
  // Stops this process once the answer of a stream begins.
  stopAt({ id }) {
    streams.get(id).on('response', () => process.kill(process.pid, 'SIGSTOP'))
  },
  // Opens streams one after another, each of which is reset when its answer begins.
  churn({ path }) {
    if (session.closed || session.destroyed) return
    const stream = session.request({ ':path': path })
    stream.on('response', () => stream.close(constants.NGHTTP2_CANCEL))
    stream.on('error', () => undefined)
    stream.on('close', () => commands.churn({ path }))
  },
  reset({ id }) {
    streams.get(id).close(constants.NGHTTP2_CANCEL)
  },
}
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { command, ...rest } = JSON.parse(line)
    commands[command](rest)
  })
  .on('close', () => process.exit())
