import { expect, test } from 'bun:test'
import { banner } from '../../src/gateway/banner.ts'
import { COMMAND } from '../../src/gateway/command.ts'

test('the banner of the demo names the command of this checkout that reads one’s own Kafka', () => {
  const serves = { brokers: ['localhost:1'], topics: ['t'], isDemo: true }
  const none = { https: undefined, admin: undefined }
  const facts = { version: '0', host: '0.0.0.0', port: 8000, console: '/' }
  expect(COMMAND).toBe('bun run server')
  expect(banner({ ...facts, ...none, serves })).toContain(
    '    bun run server --brokers localhost:9092',
  )
})
