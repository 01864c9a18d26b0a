/** The import rules of biome.json report violations, and src/ has only its one exception. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)

const forbidden = {
  'src/options/static.ts': "import { kafkaSide } from '../../kafka/index.ts'",
  'src/options/type.ts': "import type { KafkaSide } from '../../kafka/index.ts'",
  'src/options/dynamic.ts': "export const load = () => import('../../kafka/index.ts')",
  'src/options/again.ts': "export * from '../../kafka/index.ts'",
  'src/options/native.ts': "import { assertAddon } from '../../native/addon.ts'",
  'src/options/client.ts': "import client from '@confluentinc/kafka-javascript'",
  'src/options/node.ts': "import { readFileSync } from 'node:fs'",
  'src/options/bun.ts': "import { serve } from 'bun'",
  'src/options/sqlite.ts': "import { Database } from 'bun:sqlite'",
  'src/server.ts': "import { kafkaSide } from '../kafka/index.ts'",
  'src/gateway/process/kafka.ts': "import { kafkaSide } from '../../../kafka/index.ts'",
  'src/gateway/app.ts': "import { listen } from './process/listen.ts'",
  'src/worker.ts': "import { listen } from './gateway/process/listen.ts'",
  'kafka/hono.ts': "import { Hono } from 'hono'",
  'kafka/streaming.ts': "import { stream } from 'hono/streaming'",
  'kafka/tail.ts': "import { LiveConsumer } from '../src/feed/live-consumer.ts'",
  'kafka/plugin.ts': "import { kafkaConsume } from '../src/http/kafka-consume.ts'",
  'kafka/client/plugin.ts': "import { kafkaConsume } from '../../src/http/kafka-consume.ts'",
  'bench/client.ts': "import client from '@confluentinc/kafka-javascript'",
}

const allowed = {
  'src/options/hono.ts': "import { Hono } from 'hono'",
  'src/node.ts': "import { readKeyPair } from './gateway/process/key-pair.ts'",
  'src/threads.ts': "import { serveThreads } from './gateway/process/app-threads.ts'",
  'src/gateway/process/node.ts': "import { readFileSync } from 'node:fs'",
  'kafka/port.ts': "import type { KafkaCluster } from '../src/port/kafka.ts'",
  'kafka/client/errors.ts': "import { KafkaConsumeError } from '../src/core/errors.ts'",
  'kafka/client/key.ts': "import { partitionKey } from '../../src/core/topic-partition.ts'",
  'kafka/client/client.ts': "import client from '@confluentinc/kafka-javascript'",
  'tools/kafka/broker.ts': "import { readFileSync } from 'node:fs'",
  'test/native/client.ts': "import client from '@confluentinc/kafka-javascript'",
}

let flagged: Map<string, string>
const folder = mkdtempSync(join(tmpdir(), 'boundary-'))

beforeAll(() => {
  cpSync(join(root, 'biome.json'), join(folder, 'biome.json'))
  for (const [path, code] of Object.entries({ ...forbidden, ...allowed })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), `${code}\n`)
  }
  const biome = join(root, 'node_modules', '.bin', 'biome')
  const options = ['--vcs-enabled=false', '--max-diagnostics=none', '--reporter=github']
  const { stdout } = Bun.spawnSync([process.execPath, biome, 'lint', ...options, '.'], {
    cwd: folder,
    timeout: 20_000,
  })
  const report = /::error title=lint\/style\/noRestrictedImports,file=([^,]*),.*::(.+)/g
  flagged = new Map()
  for (const [, file = '', message = ''] of stdout.toString().matchAll(report)) {
    flagged.set(file.slice(file.indexOf(folder) + folder.length + 1), message)
  }
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

for (const [path, code] of Object.entries(forbidden)) {
  test(`forbidden in ${path}: ${code}`, () => {
    expect(flagged.get(path)).toBeString()
  })
}

for (const [path, code] of Object.entries(allowed)) {
  test(`allowed in ${path}: ${code}`, () => {
    expect(flagged.get(path)).toBeUndefined()
  })
}

test('src/ reaches kafka/ by one dynamic import', async () => {
  const found: string[] = []
  for await (const path of new Bun.Glob('src/**/*.{ts,tsx}').scan({ cwd: root })) {
    const loader = path.endsWith('x') ? 'tsx' : 'ts'
    const imports = new Bun.Transpiler({ loader }).scanImports(
      await Bun.file(join(root, path)).text(),
    )
    for (const { kind, path: imported } of imports) {
      if (imported.includes('/kafka/')) found.push(`${kind} in ${path}`)
    }
  }
  // This file tells the linter to look away, which would hide a static import there too.
  expect(found).toEqual(['dynamic-import in src/http/route/load-kafka.ts'])
})
