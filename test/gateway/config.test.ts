import { describe, expect, test } from 'bun:test'
import { parseArgs } from 'node:util'
import {
  flagOptions,
  gatewayHelp,
  readCommandLine,
  readGatewayConfig,
} from '../../src/gateway/settings/gateway-settings.ts'

type Environment = Record<string, string>

function read(args: readonly string[], environment: Environment = {}) {
  const { tokens } = parseArgs({
    args: [...args],
    options: flagOptions,
    strict: false,
    tokens: true,
  })
  const commandLine = readCommandLine(tokens)
  return commandLine.show ?? readGatewayConfig(commandLine.flags, environment)
}

const cluster = ['--brokers', 'a:1', '--topics', 't']

describe('settings of the gateway', () => {
  test('defaults: a demo on port 8000 of every interface', () => {
    expect(read([])).toEqual({
      port: 8000,
      host: '0.0.0.0',
      logLevel: 'info',
      logFormat: 'text',
      metrics: true,
      maxSubscribers: 20_000,
      maxAnswerBytes: 128 * 1024 * 1024,
      console: '/',
      docs: true,
      adminHost: '127.0.0.1',
      ignoreUnknown: false,
      produce: false,
      trustedProxies: 0,
      guard: undefined,
      https: undefined,
      workers: 'auto',
      sessions: { maxAge: 8 * 3_600_000, secret: undefined },
      compression: 'answers',
      pageMaxAge: 3_600_000,
      cluster: undefined,
    })
  })

  test.each<[string, string[], Environment]>([
    ['flags', ['--brokers', 'a:1, b:2', '--topics', 'x,y', '--port', '0', '--host', '::1'], {}],
    ['flags with =', ['--brokers=a:1,b:2', '--topics=x, y', '--port=0', '--host=::1'], {}],
    ['variables', [], { KAFKA_BROKERS: 'a:1,b:2', KAFKA_TOPICS: 'x,y', PORT: '0', HOST: '::1' }],
    [
      'flags before variables',
      ['--brokers=a:1,b:2', '--port=0', '--host', '::1'],
      { KAFKA_BROKERS: 'z:9', KAFKA_TOPICS: 'x,y', PORT: '9', HOST: 'z' },
    ],
    [
      'the last of a repeated flag',
      ['--brokers=z:9', '--brokers=a:1,b:2', '--topics=x,y', '--port=0', '--host=::1'],
      {},
    ],
  ])('%s', (_, args, environment) => {
    expect(read(args, environment)).toEqual({
      port: 0,
      host: '::1',
      logLevel: 'info',
      logFormat: 'text',
      metrics: true,
      maxSubscribers: 20_000,
      maxAnswerBytes: 128 * 1024 * 1024,
      console: '/',
      docs: true,
      adminHost: '127.0.0.1',
      ignoreUnknown: false,
      produce: false,
      trustedProxies: 0,
      guard: undefined,
      https: undefined,
      workers: 'auto',
      sessions: { maxAge: 8 * 3_600_000, secret: undefined },
      compression: 'answers',
      pageMaxAge: 3_600_000,
      cluster: { brokers: ['a:1', 'b:2'], topics: ['x', 'y'] },
    })
  })

  test('Kong’s configuration: a file, a state, the Admin API', () => {
    expect(
      read(['--config', 'kong.yaml', '--ignore-unknown', '--admin-port', 'off']),
    ).toMatchObject({
      config: 'kong.yaml',
      ignoreUnknown: true,
      adminPort: 'off',
      cluster: undefined,
    })
    const environment = {
      KONG_DECLARATIVE_CONFIG: 'kong.yaml',
      IGNORE_UNKNOWN: 'true',
      ADMIN_PORT: '9001',
      ADMIN_HOST: '0.0.0.0',
    }
    expect(read([], environment)).toMatchObject({
      config: 'kong.yaml',
      ignoreUnknown: true,
      adminPort: 9001,
      adminHost: '0.0.0.0',
    })
    expect(read(['--state', 'state.json'])).toMatchObject({ state: 'state.json' })
  })

  test('a broker without a port has Kafka’s port, 9092', () => {
    const brokers = 'localhost, b:2,10.0.0.1,[::1],[::2]:3'
    expect(read(['--brokers', brokers, '--topics', 't'])).toMatchObject({
      cluster: { brokers: ['localhost:9092', 'b:2', '10.0.0.1:9092', '[::1]:9092', '[::2]:3'] },
    })
  })

  test.each([
    ['--topic', '--topics'],
    ['--broker', '--brokers'],
    ['--bootstrap-server', '--brokers'],
    ['--bootstrap-servers', '--brokers'],
    ['--ports', '--port'],
    ['--log-levle', '--log-level'],
    ['--kafka-cert', '--kafka-certificate'],
    ['--password', undefined],
    ['--x', undefined],
  ])('the unknown flag %s is answered with the nearest known one, %p', (flag, nearest) => {
    const suggestion = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
    expect(() => read([...cluster, flag, 'x'])).toThrow(
      new Error(`Cannot start: unknown option ${flag}${suggestion}`),
    )
  })

  test('an empty variable counts as not set', () => {
    const environment = { KAFKA_BROKERS: '', KAFKA_TOPICS: '', PORT: '', HOST: '', LOG_LEVEL: '' }
    expect(read([], environment)).toEqual(read([]))
  })

  test.each<[string[], Environment, string[]]>([
    [['--port', '65536'], {}, ['--port', 'PORT', '0 to 65535']],
    [['--port', '-1'], {}, ['--port', 'PORT']],
    [['--port=-1'], {}, ['--port', 'PORT', '0 to 65535']],
    [['--port', '80a'], {}, ['--port', 'PORT', '0 to 65535']],
    [['--port=1.5'], {}, ['--port', 'PORT', '0 to 65535']],
    [[], { PORT: 'http' }, ['--port', 'PORT', '0 to 65535']],
    [['--port'], {}, ['--port', 'PORT', 'a value is missing']],
    [['--port='], {}, ['--port', 'PORT', 'a value is missing']],
    [['--port', '--host', 'x'], {}, ['--port', 'PORT', 'a value is missing']],
    [['--host', 'a b'], {}, ['--host', 'HOST']],
    [['--group-instance-id', 'a b'], {}, ['--group-instance-id', 'GROUP_INSTANCE_ID', '200']],
    [['--admin-port', '65536'], {}, ['--admin-port', 'ADMIN_PORT', '0 to 65535', 'off']],
    [['--admin-port', 'on'], {}, ['--admin-port', 'ADMIN_PORT', '0 to 65535', 'off']],
    [['--admin-host', '/'], {}, ['--admin-host', 'ADMIN_HOST']],
    [['--config', 'a.yaml', ...cluster], {}, ['--config', 'KONG_DECLARATIVE_CONFIG', '--brokers']],
    [['--config', 'a.yaml', '--state', 's'], {}, ['--state', 'STATE_FILE', '--config']],
    [['--ignore-unknown=maybe'], {}, ['--ignore-unknown', 'IGNORE_UNKNOWN', 'true or false']],
    [['--log-level', 'loud'], {}, ['--log-level', 'LOG_LEVEL', 'debug, info, warning, error']],
    [['--brokers', 'a:1'], {}, ['--topics', 'KAFKA_TOPICS', '--brokers', 'KAFKA_BROKERS']],
    [['--topics', 't'], {}, ['--topics', 'KAFKA_TOPICS', '--brokers', 'KAFKA_BROKERS']],
    [[], { KAFKA_TOPICS: 't' }, ['--topics', 'KAFKA_TOPICS', '--brokers', 'KAFKA_BROKERS']],
    [['--brokers', 'a:', '--topics', 't'], {}, ['--brokers', 'KAFKA_BROKERS', 'host:port']],
    [['--brokers', 'a b', '--topics', 't'], {}, ['--brokers', 'KAFKA_BROKERS', 'host:port']],
    [['--brokers', 'a:0', '--topics', 't'], {}, ['--brokers', 'KAFKA_BROKERS', '1 to 65535']],
    [['--brokers', 'a:1', '--topics', 'a b'], {}, ['--topics', 'KAFKA_TOPICS', '249']],
    [[...cluster, '--prot', '1'], {}, ['unknown option --prot']],
    [['-x'], {}, ['unknown option -x']],
    [['serve'], {}, ['an argument without a flag', '--help']],
    [[...cluster, '--port=x', '--host=/'], {}, ['--port', '--host']],
  ])('%p with %p is refused and told what is allowed', (args, environment, named) => {
    let message = ''
    try {
      read(args, environment)
    } catch (error) {
      message = error instanceof Error ? error.message : ''
    }
    expect(message).toStartWith('Cannot start: ')
    for (const text of named) expect(message).toContain(text)
  })

  test.each([
    [['--password', 'hunter2']],
    [['--password=hunter2']],
    [['--brokers', 'user:hunter2@kafka:9092', '--topics', 't']],
    [['hunter2']],
  ])('%p is refused without repeating what may be a password', (args) => {
    expect(() => read(args)).toThrow(/^(?!.*hunter2)Cannot start: /)
  })

  test('--help and --version take precedence over wrong flags', () => {
    expect(read(['--port', 'x', '--help'])).toBe('help')
    expect(read(['-h'])).toBe('help')
    expect(read(['--unknown', '-v'])).toBe('version')
  })

  test('the help names every flag and variable', () => {
    const help = gatewayHelp()
    for (const flag of Object.keys(flagOptions)) expect(help).toContain(`--${flag}`)
    for (const name of [
      'KAFKA_BROKERS',
      'KAFKA_TOPICS',
      'KONG_DECLARATIVE_CONFIG',
      'IGNORE_UNKNOWN',
      'STATE_FILE',
      'PORT',
      'HOST',
      'ADMIN_PORT',
      'ADMIN_HOST',
      'ADMIN_TOKEN',
      'LOG_LEVEL',
    ]) {
      expect(help).toMatch(new RegExp(`^ .* ${name} `, 'm'))
    }
  })
})

describe('Kafka settings of the gateway', () => {
  const secret = 'not-to-be-seen'

  test('TLS and a password, by flags and environment', () => {
    const flags = [
      ...[
        '--kafka-tls',
        '--kafka-ca',
        '/ca.pem',
        '--kafka-certificate=/c.pem',
        '--kafka-key=/k.pem',
      ],
      ...['--kafka-mechanism', 'SCRAM-SHA-512', '--kafka-user', 'me'],
    ]
    expect(read([...cluster, ...flags], { KAFKA_PASSWORD: secret })).toMatchObject({
      cluster: {
        security: {
          ssl: true,
          sslVerify: true,
          ca: { file: '/ca.pem' },
          certificate: { file: '/c.pem' },
          key: { file: '/k.pem' },
        },
        authentication: {
          strategy: 'sasl',
          mechanism: 'SCRAM-SHA-512',
          user: 'me',
          password: secret,
        },
      },
    })
  })

  test('tokens, by environment alone', () => {
    const environment = {
      KAFKA_TLS: 'true',
      KAFKA_TLS_VERIFY: 'off',
      KAFKA_MECHANISM: 'OAUTHBEARER',
      KAFKA_USER: 'client',
      KAFKA_PASSWORD_FILE: '/run/secrets/kafka',
      KAFKA_TOKEN_URL: 'https://idp/token',
      KAFKA_SCOPES: 'one, two',
    }
    expect(read(cluster, environment)).toMatchObject({
      cluster: {
        security: { ssl: true, sslVerify: false },
        authentication: {
          strategy: 'sasl',
          mechanism: 'OAUTHBEARER',
          oauthbearer: {
            tokenEndpointUrl: 'https://idp/token',
            clientId: 'client',
            clientSecret: { file: '/run/secrets/kafka' },
            scopes: ['one', 'two'],
          },
        },
      },
    })
  })

  test('certificate authorities apply to Kong’s plugins, too', () => {
    expect(read(['--config', 'kong.yaml', '--kafka-ca', '/ca.pem'])).toMatchObject({
      kafkaCa: '/ca.pem',
    })
  })

  test.each<[string[], Environment, string]>([
    [['--config=k.yaml', '--kafka-tls'], {}, '--kafka-tls (KAFKA_TLS): of use with --brokers only'],
    [
      [...cluster, '--kafka-ca=/ca'],
      {},
      '--kafka-ca (KAFKA_CA): of use with --kafka-tls or --kafka-mechanism OAUTHBEARER only',
    ],
    [
      [...cluster, '--kafka-mechanism=GSSAPI'],
      {},
      '--kafka-mechanism (KAFKA_MECHANISM): it must be',
    ],
    [[...cluster, '--kafka-mechanism=PLAIN'], {}, '--kafka-user (KAFKA_USER): user is required'],
    [[...cluster, '--kafka-mechanism=PLAIN', '--kafka-user=me'], {}, 'KAFKA_PASSWORD: password is'],
    [cluster, { KAFKA_PASSWORD: secret }, 'KAFKA_PASSWORD: password is of use when'],
    [
      [...cluster, '--kafka-tls', '--kafka-key=/k'],
      {},
      '--kafka-certificate (KAFKA_CERTIFICATE): certificate is required when there is a key',
    ],
    [
      [...cluster, '--kafka-mechanism=OAUTHBEARER', '--kafka-user=me', '--kafka-token-url=idp'],
      { KAFKA_PASSWORD: secret },
      '--kafka-token-url (KAFKA_TOKEN_URL): an http or https URL is required',
    ],
    [
      [...cluster, '--kafka-mechanism=PLAIN', '--kafka-user=me', '--kafka-password-file=/p'],
      { KAFKA_PASSWORD: secret },
      '--kafka-password-file (KAFKA_PASSWORD_FILE): not together with KAFKA_PASSWORD',
    ],
    [[...cluster, `--kafka-password=${secret}`], {}, 'unknown option --kafka-password'],
  ])('%j with %j is refused', (args, environment, expected) => {
    expect(() => read(args, environment)).toThrow(expected)
    expect(() => read(args, environment)).not.toThrow(secret)
  })
})
