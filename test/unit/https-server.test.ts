import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFileSync } from 'node:fs'
import { Hono } from 'hono'
import { HttpsServer } from '../../src/gateway/process/https-server.ts'
import { Certificates } from '../support/certificate.ts'
import { until, within } from '../support/wait.ts'

const LISTENERS = 32

let certificates: Certificates
beforeAll(() => {
  certificates = new Certificates()
  certificates.make('one')
  certificates.make('two')
})
afterAll(() => certificates[Symbol.dispose]())

test('streams outlive 32 changes of the certificate, and end with the next one', async () => {
  const files = { cert: certificates.file('now.crt'), key: certificates.file('now.key') }
  const install = (name: string) => {
    copyFileSync(certificates.file(`${name}.crt`), files.cert)
    copyFileSync(certificates.file(`${name}.key`), files.key)
  }
  install('one')
  let ended = 0
  const app = new Hono().get('/', () => {
    const cancel = () => {
      ended++
    }
    return new Response(
      new ReadableStream({ start: (controller) => controller.enqueue('open'), cancel }),
    )
  })
  const config = { ...files, port: 0, redirect: false, hsts: undefined, http2: true, http3: false }
  const server = new HttpsServer('127.0.0.1', config, app, {})
  server.listen()
  const url = `https://127.0.0.1:${server.port}`
  const leave = new AbortController()
  const open: boolean[] = []
  try {
    for (let change = 0; change <= LISTENERS; change++) {
      const { body } = await fetch(url, {
        keepalive: false,
        signal: leave.signal,
        tls: { rejectUnauthorized: false },
      })
      const reader = body?.getReader()
      await within(Promise.resolve(reader?.read()), 'the first bytes of a stream')
      open[change] = true
      const close = () => {
        open[change] = false
      }
      void reader?.read().then(close, close)
      expect(ended).toBe(0)
      install(change % 2 === 0 ? 'two' : 'one')
      expect(server.reload()).toStartWith('certificates valid until')
    }
    await until(() => ended === 1, 'a stream to be cancelled')
    await until(() => open[0] === false, 'the oldest stream to end')
    expect(open.filter(Boolean)).toHaveLength(LISTENERS)
  } finally {
    leave.abort()
    await within(server.stop(), 'the server to stop')
  }
})
