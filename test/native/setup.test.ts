import { afterEach, beforeEach, expect, test } from 'bun:test'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { sources as packageSources } from '../../native/build.ts'
import { cachedAddon, dropAddon, storeAddon, withLock } from '../../native/cache.ts'
import { changeLibrdkafka } from '../../native/changes.ts'
import { describeError } from '../../native/file-errors.ts'

const setup = join(import.meta.dirname, '..', '..', 'native', 'setup.ts')

function runSetup(...flags: string[]) {
  const { exitCode, stdout, stderr, resourceUsage } = Bun.spawnSync(
    [process.execPath, setup, ...flags],
    {
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: 50_000,
    },
  )
  const cpuMs = Number(resourceUsage?.cpuTime.total ?? 0) / 1_000
  return { exitCode, output: String(stdout), errors: String(stderr), cpuMs }
}

test('Setup reports that nothing is to be done, unless it is told to be quiet', () => {
  expect(runSetup()).toMatchObject({ exitCode: 0, output: '', errors: 'All is set up.\n' })
  const { cpuMs, ...quiet } = runSetup('--quiet')
  expect(quiet).toEqual({ exitCode: 0, output: '', errors: '' })
  expect(cpuMs).toBeWithin(1, 2_000)
}, 120_000)

test('Setup explains its options', () => {
  const { exitCode, output } = runSetup('--help')
  expect(exitCode).toBe(0)
  for (const flag of ['--packages-only', '--force', '--quiet']) expect(output).toContain(flag)
}, 120_000)

test('Setup refuses an unknown option', () => {
  const { exitCode, errors } = runSetup('--frce', '--quiet')
  expect(exitCode).toBe(2)
  expect(errors).toStartWith('Cannot set up: unknown option --frce\n')
}, 120_000)

let folder: string
const { HONO_KAFKA_CONSUME_CACHE: before } = process.env
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'native-cache-'))
  process.env['HONO_KAFKA_CONSUME_CACHE'] = folder
})
afterEach(() => {
  rmSync(folder, { recursive: true })
  if (before === undefined) delete process.env['HONO_KAFKA_CONSUME_CACHE']
  else process.env['HONO_KAFKA_CONSUME_CACHE'] = before
})

test('Setup works without installed packages, as in a fresh clone', () => {
  const root = join(setup, '..', '..')
  const clone = join(folder, 'clone')
  for (const name of ['package.json', 'bun.lock', 'bunfig.toml', 'native']) {
    cpSync(join(root, name), join(clone, name), { recursive: true })
  }
  // The addon comes from the cache that this checkout has it from.
  const { HONO_KAFKA_CONSUME_CACHE: _, ...rest } = process.env
  const env = before === undefined ? rest : { ...rest, HONO_KAFKA_CONSUME_CACHE: before }
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, 'native/setup.ts', '--quiet'], {
    cwd: clone,
    env,
    stderr: 'pipe',
  })
  expect([exitCode, String(stderr)]).toEqual([0, expect.stringContaining('Set up.')])
}, 300_000)

test('The cache has an addon until the addon is dropped', () => {
  expect(cachedAddon('key')).toBeUndefined()
  storeAddon('key', Buffer.from('content'))
  expect(String(cachedAddon('key'))).toBe('content')
  dropAddon('key')
  expect(cachedAddon('key')).toBeUndefined()
})

test('A cache that cannot be written to is named, with the variable for another one', async () => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  process.env['HONO_KAFKA_CONSUME_CACHE'] = join(file, 'cache')
  await expect(withLock(async () => {})).rejects.toThrow(
    `Cannot write to the cache ${file}/cache: ENOTDIR: not a directory`,
  )
  // A folder in place of the lock's file is what SQLite cannot open, either.
  mkdirSync(join(folder, 'lock.sqlite'))
  process.env['HONO_KAFKA_CONSUME_CACHE'] = folder
  await expect(withLock(async () => {})).rejects.toThrow('HONO_KAFKA_CONSUME_CACHE')
})

test('An error says what to do where a disk is full, whoever noticed it', () => {
  const advice = `A disk is full. The cache ${folder} needs 100 MB`
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    syscall: 'write',
  })
  expect(describeError(full)).toStartWith(
    `Cannot set up: ENOSPC: no space left on device, write\n${advice}`,
  )
  const compiler = new Error(
    'Cannot run make: exit code 2\ncannot write PCH file: No space left on device',
  )
  expect(describeError(compiler)).toStartWith(`${compiler.message}\n${advice}`)
  expect(describeError(new Error('Cannot run make: exit code 2'))).toBe(
    'Cannot run make: exit code 2',
  )
})

test('A damaged cache entry counts as none', () => {
  storeAddon('key', Buffer.from('content'))
  writeFileSync(join(folder, 'key.node'), 'cont')
  expect(cachedAddon('key')).toBeUndefined()
})

test('Two set-ups at once work one after the other', async () => {
  const events: string[] = []
  const work = (name: string) => async () => {
    events.push(`${name} begins`)
    // Work that takes its time: the other set-up would begin meanwhile.
    await Bun.sleep(50)
    events.push(`${name} ends`)
  }
  await Promise.all([withLock(work('first')), withLock(work('second'))])
  expect(events).toEqual(['first begins', 'first ends', 'second begins', 'second ends'])
}, 120_000)

test('the sources of librdkafka are patched, or the error names the source that differs', () => {
  const original = join(packageSources().package, 'deps', 'librdkafka')
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  for (const name of [
    'src/rdkafka_conf.h',
    'src/rdkafka_conf.c',
    'src/rdkafka_sasl_scram.c',
    'src/rdkafka_header.c',
    'src-cpp/rdkafkacpp_int.h',
  ]) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    cpSync(join(original, name), join(folder, name))
  }
  changeLibrdkafka(folder)
  expect(read('src/rdkafka_conf.c')).toContain('"sasl.scram.tokenauth"')
  expect(read('src/rdkafka_sasl_scram.c')).toContain(',tokenauth=true')
  expect(read('src-cpp/rdkafkacpp_int.h')).toContain('rd_kafka_header_name_size(name)')
  expect(() => changeLibrdkafka(folder)).toThrow(
    "Cannot compile the Kafka client: librdkafka's src/rdkafka_conf.h is not as",
  )
})
