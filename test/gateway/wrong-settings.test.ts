/** Wrong values of every setting of the gateway, by its flag and by its variable. */
import { describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  flagOptions,
  gatewayHelp,
  readCommandLine,
  readGatewayConfig,
} from '../../src/gateway/settings/gateway-settings.ts'
import { Certificates } from '../support/certificate.ts'

const WRONG = ['-1', '1e99', '/', '{"a":', 'two words', '☃']
/** Values that may be names: of a host, a topic, a path. */
const NAMES = WRONG.slice(0, -2)

/** Settings that take any text: names that others gave, and files, which are looked at separately. */
const FREE = [
  ...['jwt-issuer', 'jwt-audience', 'jwt-claim', 'oidc-client-id', 'kafka-user', 'kafka-scopes'],
  ...['config', 'state', 'clients', 'tls-cert', 'tls-key'],
  ...['kafka-ca', 'kafka-certificate', 'kafka-key', 'kafka-password-file'],
]
/** Settings that take names. */
const NAMED = [
  ...['brokers', 'topics', 'host', 'admin-host', 'group-instance-id', 'console'],
  ...['token-cookie', 'token-query', 'oidc-scopes'],
]
/** Settings whose values may have a password, such as that of a URL. */
const HIDDEN = ['jwks-url', 'oidc-issuer', 'kafka-token-url']
/** Settings that say only together with others whether they can be used. */
const CONTEXT: Record<string, readonly string[]> = {
  'kafka-token-url': [
    ...['--brokers', 'a:1', '--topics', 't', '--kafka-mechanism', 'OAUTHBEARER'],
    ...['--kafka-user', 'me', '--kafka-password-file', '/p'],
  ],
}

interface Setting {
  readonly flag: string
  readonly variable: string
  readonly isSwitch: boolean
}

const settings = Object.entries(flagOptions).flatMap(([flag, { type }]): Setting[] => {
  const row = new RegExp(`^  --${flag}(?: <[^>]+>)? +(\\w+) `, 'm').exec(gatewayHelp())
  return row ? [{ flag, variable: row[1] as string, isSwitch: type === 'boolean' }] : []
})

/** The error of settings; undefined where they can be used. */
function errorOf(args: readonly string[], environment: Record<string, string> = {}) {
  try {
    const options = { args: [...args], options: flagOptions, strict: false, tokens: true } as const
    const commandLine = readCommandLine(parseArgs(options).tokens)
    if (commandLine.show) throw new Error('the command line shows a text')
    readGatewayConfig(commandLine.flags, environment)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

test('the help has a row for every flag with its variable', () => {
  expect(settings.map(({ flag }) => flag)).toEqual(
    Object.keys(flagOptions).filter((flag) => flag !== 'help' && flag !== 'version'),
  )
  expect(settings.length).toBeGreaterThan(50)
})

describe.each(settings)('a wrong --$flag', ({ flag, variable, isSwitch }) => {
  const named = `--${flag} (${variable}): `

  test.each(isSwitch ? WRONG.slice(1) : WRONG)(
    '%j is refused by names, value and range',
    (value) => {
      const isAllowed = FREE.includes(flag) || (NAMED.includes(flag) && NAMES.includes(value))
      if (isAllowed) return
      const context = CONTEXT[flag] ?? []
      const args = isSwitch ? [`--${flag}=${value}`] : [`--${flag}`, value]
      const environment = { [variable]: value }
      for (const error of [errorOf([...context, ...args]), errorOf(context, environment)]) {
        expect(error).toStartWith('Cannot start: ')
        expect(error).toContain(named)
        expect(error).toMatch(/(?:required|must be)\b/)
        if (HIDDEN.includes(flag)) expect(error).not.toContain(`"${value}"`)
        else expect(error).toContain(`, not "${value}"`)
      }
    },
  )

  test('without a value it is refused with the form of its value', () => {
    if (isSwitch) {
      expect(errorOf([`--${flag}=`])).toContain(`${named}true or false is required`)
      return
    }
    const form = `${named}a value is missing: --${flag} <`
    for (const args of [[`--${flag}`], [`--${flag}`, ''], [`--${flag}`, '--port', '1']]) {
      expect(errorOf(args)).toContain(form)
    }
  })
})

test('a value that may have a password is not repeated, and a long one is cut', () => {
  const error = errorOf(['--brokers', 'user:planted@kafka:9092', '--topics', 't'])
  expect(error).toContain('--brokers (KAFKA_BROKERS): ')
  expect(error).not.toContain('planted')
  expect(errorOf([], { BEARER_KEYS: 'planted' })).not.toContain('planted')
  expect(errorOf([], { ADMIN_TOKEN: 'planted' })).not.toContain('planted')
  expect(errorOf(['--port', 'x'.repeat(10_000)])?.length).toBeLessThan(200)
})

test('one port for two listeners of an address is refused by both names', () => {
  const tls = ['--tls-cert', 'c', '--tls-key', 'k']
  const refused = (setting: string, other: string, port: number) =>
    `Cannot start: ${setting}: another port than that of ${other} is required, not ${port}`
  const admin = '--admin-port (ADMIN_PORT)'
  const https = '--https-port (HTTPS_PORT)'
  expect(errorOf(['--port', '8050', '--admin-port', '8050'])).toBe(
    refused(admin, '--port (PORT)', 8050),
  )
  expect(errorOf([...tls, '--https-port', '8000'])).toBe(refused(https, '--port (PORT)', 8000))
  expect(errorOf([...tls, '--admin-port', '8443'])).toBe(refused(admin, https, 8443))
  const hosts = ['--host', '127.0.0.2', '--admin-host', '127.0.0.1']
  for (const allowed of [
    ['--port', '0', '--admin-port', '0'],
    ['--port', '8050', '--admin-port', '8050', ...hosts],
    ['--port', '8001'],
    ['--admin-port', '8443'],
  ]) {
    expect(errorOf(allowed)).toBeUndefined()
  }
})

test('a filter that cannot be used is named', () => {
  expect(errorOf(['--filters', '{"fine":"true","big":"value.total>"}'])).toStartWith(
    'Cannot start: --filters (FILTERS): "big": cannot use the expression: ',
  )
  expect(errorOf(['--filters', '{"big":5}'])).toBe(
    'Cannot start: --filters (FILTERS): "big": a filter must be an expression',
  )
  for (const json of ['[]', '["true"]', 'null', '5', '"true"']) {
    expect(errorOf(['--filters', json])).toContain('--filters (FILTERS): JSON such as {"big"')
  }
})

describe('a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wrong-settings-'))
  const absent = join(folder, 'absent')
  const present = join(folder, 'present')
  writeFileSync(present, '')
  chmodSync(present, 0)

  const program = join(import.meta.dirname, '../../src/server.ts')
  const cluster = ['--brokers', 'a:1', '--topics', 't', '--kafka-tls']
  const withFile: Array<[flag: string, variable: string, args: string[]]> = [
    ['--clients', 'CLIENTS_FILE', []],
    ['--config', 'KONG_DECLARATIVE_CONFIG', []],
    ['--tls-cert', 'TLS_CERT', ['--tls-key', program]],
    ['--tls-key', 'TLS_KEY', ['--tls-cert', program]],
    ['--kafka-ca', 'KAFKA_CA', cluster],
    ['--kafka-certificate', 'KAFKA_CERTIFICATE', [...cluster, '--kafka-key', program]],
    ['--kafka-key', 'KAFKA_KEY', [...cluster, '--kafka-certificate', program]],
    [
      '--kafka-password-file',
      'KAFKA_PASSWORD_FILE',
      [...cluster, '--kafka-mechanism', 'PLAIN', '--kafka-user', 'me'],
    ],
  ]

  test.each(withFile)(
    'of %s that cannot be read ends the start with exit code 2, by name',
    async (flag, variable, args) => {
      const failed = async (path: string) => {
        const argv = [process.execPath, program, ...['--port', '0', '--admin-port', 'off'], ...args]
        const child = Bun.spawn([...argv, flag, path], { stdout: 'ignore', stderr: 'pipe' })
        const said = await new Response(child.stderr).text()
        return { code: await child.exited, said: said.trim() }
      }
      const refusal = (path: string, state: string) => ({
        code: 2,
        said: `Cannot start: ${flag} (${variable}): a file that can be read is required, not "${path}": ${state}`,
      })
      expect(await failed(absent)).toEqual(refusal(absent, 'it does not exist'))
      expect(await failed(folder)).toEqual(refusal(folder, 'it is a folder'))
      // A superuser may read any file.
      if (process.getuid?.() !== 0) {
        expect(await failed(present)).toEqual(refusal(present, 'this user may not read it'))
      }
    },
    120_000,
  )

  const certificates = new Certificates()
  certificates.make('mine')
  certificates.make('other')
  const empty = certificates.file('empty')
  writeFileSync(empty, '')
  const [certificate, key, otherKey] = ['mine.crt', 'mine.key', 'other.key'].map((name) =>
    certificates.file(name),
  ) as [string, string, string]
  const isNoCertificate = 'it is not a certificate in PEM'
  const ofPair = [...cluster, '--kafka-certificate', certificate, '--kafka-key']
  const withContent: Array<[flag: string, variable: string, state: string, args: string[]]> = [
    ['--kafka-ca', 'KAFKA_CA', isNoCertificate, [...cluster, '--kafka-ca', empty]],
    [
      ...(['--kafka-certificate', 'KAFKA_CERTIFICATE', isNoCertificate] as const),
      [...cluster, '--kafka-key', key, '--kafka-certificate', empty],
    ],
    ['--kafka-key', 'KAFKA_KEY', 'it is not a private key in PEM', [...ofPair, empty]],
    [
      '--kafka-key',
      'KAFKA_KEY',
      'the key does not belong to the certificate',
      [...ofPair, otherKey],
    ],
    [
      ...(['--kafka-password-file', 'KAFKA_PASSWORD_FILE', 'it is empty'] as const),
      [
        ...[...cluster, '--kafka-mechanism', 'PLAIN', '--kafka-user', 'me'],
        ...['--kafka-password-file', empty],
      ],
    ],
  ]

  test.each(withContent)(
    'of %s (%s) that holds something else ends the start with exit code 2, by name: %s',
    async (flag, variable, state, args) => {
      const argv = [process.execPath, program, ...['--port', '0', '--admin-port', 'off'], ...args]
      const child = Bun.spawn(argv, { stdout: 'ignore', stderr: 'pipe' })
      // A gateway that takes the file would run on.
      const late = setTimeout(() => child.kill(), 30_000)
      const said = (await new Response(child.stderr).text()).trim()
      clearTimeout(late)
      expect(said).toStartWith(`Cannot start: ${flag} (${variable}): a file with `)
      expect(said).toEndWith(` is required, not "${args.at(-1)}": ${state}`)
      expect(await child.exited).toBe(2)
    },
    120_000,
  )

  test('leaves nothing behind', () => {
    rmSync(folder, { recursive: true })
    certificates[Symbol.dispose]()
  })
})
