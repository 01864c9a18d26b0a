import { expect, test } from 'bun:test'
import { bunCommand } from '../../src/core/bun-command.ts'
import { banner } from '../../src/gateway/banner.ts'
import { COMMAND } from '../../src/gateway/command.ts'
import { sampleCredentials } from '../../src/gateway/sample-credentials.ts'

test('the banner of the demo names the command of this checkout that reads one’s own Kafka', () => {
  const serves = { brokers: ['localhost:1'], topics: ['t'], isDemo: true }
  const none = { https: undefined, admin: undefined, credentials: undefined }
  const facts = { version: '0', host: '0.0.0.0', port: 8000, console: '/' }
  expect(COMMAND).toBe('bun run server')
  expect(banner({ ...facts, ...none, serves })).toContain(
    '    bun run server --brokers localhost:9092',
  )
})

test('a command is by npx where npx has started Bun, which the reader then lacks', () => {
  const installed = ['/usr/lib/node_modules/bun/bin/bun.exe', '/root/.bun/bin/bun']
  for (const path of installed) expect(bunCommand('1.4.5', path)).toBe('bun')
  const byNpx = '/root/.npm/_npx/8666902f26f2dc1a/node_modules/bun/bin/bun.exe'
  expect(bunCommand('1.4.5', byNpx)).toBe('npx -y bun@1.4.5')
})

test('the banner of a gateway with clients names no secret, and a client by whom its commands are answered', () => {
  const serves = { brokers: ['k:1'], topics: ['t'], isDemo: false }
  const address = { version: '0', host: '::', port: 8000, https: undefined, console: '/' }
  const admin = { host: '127.0.0.1', port: 8001, hasToken: true }
  const of = (guard: Parameters<typeof sampleCredentials>[0]) =>
    banner({ ...address, serves, admin, credentials: sampleCredentials(guard) })
  const only = { topics: ['t'] }
  const secrets = { key: 'planted-key-of-16', password: 'planted-password' }

  const byKey = of({
    clients: [
      { name: 'scoped', only, ...secrets },
      { name: 'all', ...secrets },
    ],
  })
  expect(byKey).toContain('Try it; KEY is the key of all:')
  expect(byKey).toContain("curl -H 'Authorization: Bearer KEY' localhost:8000/messages  ")
  expect(byKey).toContain("curl -H 'Kong-Admin-Token: TOKEN' 127.0.0.1:8001/routes")
  expect(byKey).not.toContain('planted')

  const byPassword = of({ clients: [{ name: "o'neill", password: secrets.password, only }] })
  expect(byPassword).toContain("curl asks for the password of o'neill:")
  expect(byPassword).toContain("curl -u 'o'\\''neill' 'localhost:8000/messages?start=earliest'  ")
  expect(byPassword).not.toContain('planted')

  const tokens = {
    jwksUrl: 'https://issuer.test/keys',
    issuer: 'i',
    audience: 'a',
    claim: undefined,
  }
  expect(of({ tokens })).toContain(
    "curl -H 'Authorization: Bearer TOKEN' -N localhost:8000/stream  ",
  )
  expect(of({ limits: { minute: 1 } })).toContain('curl localhost:8000/messages  ')
})
