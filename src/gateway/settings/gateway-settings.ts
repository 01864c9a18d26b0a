/**
 * The gateway's settings, from flags and environment variables. The file has more than 400 lines
 * because it is one table: each setting has its name, default, message and help in one place.
 */
import * as v from 'valibot'
import { KafkaConsumeError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { LOG_FORMATS, LOG_LEVELS } from '../../core/log.ts'
import { nearestName } from '../../core/nearest-name.ts'
import { optionsSchema } from '../../options/consume-options.ts'
import { groupProtocol, instanceId } from '../../options/fields.ts'
import { COMMAND } from '../command.ts'
import { portErrors } from './distinct-ports.ts'
import { guardErrors, guardSettings, withGuard } from './guard-settings.ts'
import { httpsErrors, httpsSettings, withHttps } from './https-settings.ts'
import { connectionErrors, kafkaSettings, withConnection } from './kafka-settings.ts'

const DEFAULT_PORT = '8000'
const DEFAULT_HOST = '0.0.0.0'
/** The port of the Admin API, as in Kong. The API has no login, hence the loopback address by default. */
export const DEFAULT_ADMIN_PORT = 8001
const DEFAULT_ADMIN_HOST = '127.0.0.1'
const DEFAULT_MAX_SUBSCRIBERS = '20000'
const SUBSCRIBERS_RANGE = 'a whole number from 1 to 1000000 is required'
const DEFAULT_MAX_ANSWER_BYTES = String(128 * 1024 * 1024)
const ANSWER_BYTES_RANGE = 'a whole number from 1048576 to 68719476736 is required'
const DEFAULT_PAGE_MAX_AGE = '3600000'
const PAGE_MAX_AGE_RANGE = 'a whole number from 1000 to 31536000000 is required'
const MAX_WORKERS = 64
const WORKERS_RANGE = `a whole number from 1 to ${MAX_WORKERS}, or auto, is required`
const PORT_RANGE = 'a whole number from 0 to 65535 is required'
const HOST = /^[\w.:-]{1,253}$/
/** A broker without a port: a name, an IPv4 address, or an IPv6 address in brackets. */
const PORTLESS_BROKER = /^(?:[\w.-]+|\[[0-9a-fA-F:.]+\])$/
const KAFKA_PORT = 9092
/** The flag of Kafka's own tools for brokers. */
const KAFKA_BROKERS_FLAG = 'bootstrap-server'
const HOST_REQUIRED = 'a host name or an IP address is required'

/** The names of a setting on the command line, in the environment and in the help. */
interface Naming {
  /** Absent for a secret, since other processes see a command line. */
  readonly flag?: string
  readonly variable: string
  /** The placeholder of its value in the help; absent for a switch. */
  readonly value?: string
  readonly default?: string
}

const brokers: Naming = { flag: 'brokers', variable: 'KAFKA_BROKERS', value: 'host:port,…' }
const topics: Naming = { flag: 'topics', variable: 'KAFKA_TOPICS', value: 'name,…' }
const config: Naming = { flag: 'config', variable: 'KONG_DECLARATIVE_CONFIG', value: 'file' }
const state: Naming = { flag: 'state', variable: 'STATE_FILE', value: 'file' }

/**
 * The one source of the gateway's settings: their names, defaults, messages and help. Every value
 * comes as text.
 */
const settings = {
  brokers: v.pipe(
    v.optional(
      v.pipe(v.string(), v.transform(withKafkaPort), optionsSchema.entries.bootstrapServers),
    ),
    v.description(
      `Kafka brokers to ask first, at port ${KAFKA_PORT} unless given; without them a demo broker runs in this process`,
    ),
    v.metadata({ ...brokers }),
  ),
  topics: v.pipe(
    v.optional(
      v.pipe(
        optionsSchema.entries.topics,
        v.transform((topics) => topics.map(({ name }) => name)),
      ),
    ),
    v.description('Kafka topics to serve'),
    v.metadata({ ...topics }),
  ),
  ...kafkaSettings,
  produce: v.pipe(
    v.optional(v.picklist(['true', 'false'], 'true or false is required'), 'false'),
    v.transform((text) => text === 'true'),
    v.description('Write records to these topics at POST /produce, and from the console'),
    v.metadata({ flag: 'produce', variable: 'PRODUCE' }),
  ),
  config: v.pipe(
    v.optional(v.string()),
    v.description(
      "Kong's declarative configuration to serve, YAML or JSON; never written, read again on SIGHUP",
    ),
    v.metadata({ ...config }),
  ),
  ignoreUnknown: v.pipe(
    v.optional(v.picklist(['true', 'false'], 'true or false is required'), 'false'),
    v.transform((text) => text === 'true'),
    v.description('Skip the parts of a configuration that this gateway does not serve'),
    v.metadata({ flag: 'ignore-unknown', variable: 'IGNORE_UNKNOWN' }),
  ),
  state: v.pipe(
    v.optional(v.string()),
    v.description('File that keeps the changes of the Admin API; default: in memory only'),
    v.metadata({ ...state }),
  ),
  port: v.pipe(
    v.optional(v.string(), DEFAULT_PORT),
    v.regex(/^\d{1,5}$/, PORT_RANGE),
    v.transform(Number),
    v.maxValue(65_535, PORT_RANGE),
    v.description('Port to listen on, 0 to 65535; 0 takes any that is free'),
    v.metadata({ flag: 'port', variable: 'PORT', value: 'number', default: DEFAULT_PORT }),
  ),
  host: v.pipe(
    v.optional(v.string(), DEFAULT_HOST),
    v.regex(HOST, HOST_REQUIRED),
    v.description('Address to listen on; 127.0.0.1 is for this machine only'),
    v.metadata({ flag: 'host', variable: 'HOST', value: 'address', default: DEFAULT_HOST }),
  ),
  workers: v.pipe(
    v.optional(v.string(), 'auto'),
    v.check((text) => text === 'auto' || isThreadCount(text), WORKERS_RANGE),
    v.transform((text): number | 'auto' => (text === 'auto' ? text : Number(text))),
    v.description(
      'Threads that serve clients, beside one that owns Kafka; 1 does all in one thread; auto is 1 on fewer than 3 cores, else their number minus 1',
    ),
    v.metadata({ flag: 'workers', variable: 'WORKERS', value: 'number', default: 'auto' }),
  ),
  // No default here: a port that was given and is taken is an error, where a demo may use another
  // one in place of the default.
  adminPort: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.check((text) => text === 'off' || isPort(text), `${PORT_RANGE}, or off`),
        v.transform((text): number | 'off' => (text === 'off' ? text : Number(text))),
      ),
    ),
    v.description("Port of Kong's Admin API, or off"),
    v.metadata({
      flag: 'admin-port',
      variable: 'ADMIN_PORT',
      value: 'number',
      default: String(DEFAULT_ADMIN_PORT),
    }),
  ),
  adminHost: v.pipe(
    v.optional(v.string(), DEFAULT_ADMIN_HOST),
    v.regex(HOST, HOST_REQUIRED),
    v.description('Address of the Admin API: any client that reaches it may change everything'),
    v.metadata({
      flag: 'admin-host',
      variable: 'ADMIN_HOST',
      value: 'address',
      default: DEFAULT_ADMIN_HOST,
    }),
  ),
  adminToken: v.pipe(
    v.optional(v.pipe(v.string(), v.minLength(16, 'at least 16 characters are required'))),
    v.description(
      'Token of at least 16 characters that requests to the Admin API must have in the header Kong-Admin-Token; clients that have it see secrets; no flag, since the token is secret',
    ),
    v.metadata({ variable: 'ADMIN_TOKEN' }),
  ),
  metrics: v.pipe(
    v.optional(v.picklist(['on', 'off'], 'on or off is required'), 'on'),
    v.transform((text) => text === 'on'),
    v.description('Whether Prometheus metrics are at /metrics: on, off'),
    v.metadata({ flag: 'metrics', variable: 'METRICS', value: 'switch', default: 'on' }),
  ),
  groupInstanceId: v.pipe(
    // 200 characters, since routes add a suffix that tells members of one group apart.
    v.optional(instanceId(200)),
    v.description(
      'Name of this node in its consumer groups (static membership): a restarted node keeps its partitions',
    ),
    v.metadata({ flag: 'group-instance-id', variable: 'GROUP_INSTANCE_ID', value: 'name' }),
  ),
  groupProtocol: v.pipe(
    v.optional(groupProtocol),
    v.description(
      'Protocol of its consumer groups: classic or consumer, which needs Kafka 4 and answers at once',
    ),
    v.metadata({
      flag: 'group-protocol',
      variable: 'GROUP_PROTOCOL',
      value: 'name',
      default: 'classic',
    }),
  ),
  trustedProxies: v.pipe(
    v.optional(v.string(), '0'),
    v.regex(/^\d{1,2}$/, 'a whole number from 0 to 99 is required'),
    v.transform(Number),
    v.description(
      "Number of proxies in front whose X-Forwarded-For is trusted for the client's address",
    ),
    v.metadata({
      flag: 'trusted-proxies',
      variable: 'TRUSTED_PROXIES',
      value: 'number',
      default: '0',
    }),
  ),
  compression: v.pipe(
    v.optional(v.picklist(['off', 'answers', 'all'], 'off, answers or all is required'), 'answers'),
    v.description(
      'What is compressed for clients that accept it: off, answers (of single reads), all (streams, too)',
    ),
    v.metadata({
      flag: 'compression',
      variable: 'COMPRESSION',
      value: 'what',
      default: 'answers',
    }),
  ),
  filters: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.rawTransform(({ dataset, addIssue, NEVER }): unknown => {
          const filters = objectOf(dataset.value)
          if (filters) return filters
          addIssue({ message: 'JSON such as {"big":"value.total > 1000"} is required' })
          return NEVER
        }),
        optionsSchema.entries.filters,
      ),
    ),
    v.description('Named filters that requests may use, as JSON: {"big":"value.total > 1000"}'),
    v.metadata({ flag: 'filters', variable: 'FILTERS', value: 'json' }),
  ),
  pageCaching: v.pipe(
    v.optional(v.picklist(['off', 'private', 'public'], 'off, private or public is required')),
    v.description(
      "Which caches may keep full pages from a cursor: off, private (of clients), public (proxies, too); default: public, private for Kong's routes and for clients with credentials",
    ),
    v.metadata({ flag: 'page-caching', variable: 'PAGE_CACHING', value: 'which' }),
  ),
  pageMaxAge: v.pipe(
    v.optional(v.string(), DEFAULT_PAGE_MAX_AGE),
    v.regex(/^\d{4,11}$/, PAGE_MAX_AGE_RANGE),
    v.transform(Number),
    v.maxValue(31_536_000_000, PAGE_MAX_AGE_RANGE),
    v.description(
      'Milliseconds for which caches may keep a page, also after Kafka deleted its records',
    ),
    v.metadata({
      flag: 'page-max-age',
      variable: 'PAGE_MAX_AGE',
      value: 'ms',
      default: DEFAULT_PAGE_MAX_AGE,
    }),
  ),
  ...httpsSettings,
  ...guardSettings,
  maxSubscribers: v.pipe(
    v.optional(v.string(), DEFAULT_MAX_SUBSCRIBERS),
    v.regex(/^\d{1,7}$/, SUBSCRIBERS_RANGE),
    v.transform(Number),
    v.minValue(1, SUBSCRIBERS_RANGE),
    v.maxValue(1_000_000, SUBSCRIBERS_RANGE),
    v.description(
      'Open streams of all routes together, at most; a further one is refused with 503',
    ),
    v.metadata({
      flag: 'max-subscribers',
      variable: 'MAX_SUBSCRIBERS',
      value: 'number',
      default: DEFAULT_MAX_SUBSCRIBERS,
    }),
  ),
  maxAnswerBytes: v.pipe(
    v.optional(v.string(), DEFAULT_MAX_ANSWER_BYTES),
    v.regex(/^\d{1,11}$/, ANSWER_BYTES_RANGE),
    v.transform(Number),
    v.minValue(1_048_576, ANSWER_BYTES_RANGE),
    v.maxValue(68_719_476_736, ANSWER_BYTES_RANGE),
    v.description(
      'Bytes of answers that clients have not read yet, of all routes together, at most',
    ),
    v.metadata({
      flag: 'max-answer-bytes',
      variable: 'MAX_ANSWER_BYTES',
      value: 'number',
      default: DEFAULT_MAX_ANSWER_BYTES,
    }),
  ),
  console: v.pipe(
    v.optional(v.string(), '/'),
    v.regex(
      /^(off|(\/(?!\.{1,2}(\/|$))[\w.~-]+)*\/?)$/,
      'a path such as /console, or off, is required',
    ),
    v.minLength(1, 'a path such as /console, or off, is required'),
    v.description('Path of the console page, or off; a route of that path takes precedence'),
    v.metadata({ flag: 'console', variable: 'CONSOLE', value: 'path', default: '/' }),
  ),
  docs: v.pipe(
    v.optional(v.picklist(['on', 'off'], 'on or off is required'), 'on'),
    v.transform((text) => text === 'on'),
    v.description('Whether the API is described at /openapi.json and /docs: on, off'),
    v.metadata({ flag: 'docs', variable: 'DOCS', value: 'switch', default: 'on' }),
  ),
  logLevel: v.pipe(
    v.optional(v.picklist(LOG_LEVELS, `one of ${LOG_LEVELS.join(', ')} is required`), 'info'),
    v.description(`Lowest level of log lines to print: ${LOG_LEVELS.join(', ')}`),
    v.metadata({ flag: 'log-level', variable: 'LOG_LEVEL', value: 'level', default: 'info' }),
  ),
  logFormat: v.pipe(
    v.optional(v.picklist(LOG_FORMATS, `one of ${LOG_FORMATS.join(', ')} is required`), 'text'),
    v.description(`Format of log lines: ${LOG_FORMATS.join(', ')}`),
    v.metadata({ flag: 'log-format', variable: 'LOG_FORMAT', value: 'format', default: 'text' }),
  ),
}

type Setting = keyof typeof settings

const namings = Object.fromEntries(
  Object.entries(settings).map(([name, schema]) => [name, v.getMetadata(schema) as unknown]),
) as Record<Setting, Naming>

const SWITCHES = [
  { flag: 'help', short: 'h', description: 'Show this text' },
  { flag: 'version', short: 'v', description: 'Show the version' },
] as const

const gatewaySchema = v.pipe(
  v.object(settings),
  v.forward(
    v.partialCheck(
      [['brokers'], ['topics']],
      (given) => given.brokers === undefined || given.topics !== undefined,
      `required with ${called(brokers)}: the names of topics, separated by commas`,
    ),
    ['topics'],
  ),
  v.forward(
    v.partialCheck(
      [['brokers'], ['topics']],
      (given) => given.topics === undefined || given.brokers !== undefined,
      `required with ${called(topics)}: "host:port", separated by commas`,
    ),
    ['brokers'],
  ),
  v.forward(
    v.partialCheck(
      [['config'], ['brokers']],
      (given) => given.config === undefined || given.brokers === undefined,
      `not together with ${called(brokers)}: its plugins name their brokers`,
    ),
    ['config'],
  ),
  v.forward(
    v.partialCheck(
      [['config'], ['produce']],
      (given) => given.config === undefined || !given.produce,
      `not together with --config: its plugins kafka-upstream and confluent write`,
    ),
    ['produce'],
  ),
  v.forward(
    v.partialCheck(
      [['config'], ['state']],
      (given) => given.config === undefined || given.state === undefined,
      `not together with ${called(config)}: the file is all there is after a start`,
    ),
    ['state'],
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const { value } = dataset
    const errors = [
      ...httpsErrors(value),
      ...portErrors(value),
      ...guardErrors(value),
      ...connectionErrors(value, value.brokers),
    ]
    for (const [key, message] of errors) {
      const item = { type: 'object', origin: 'value', input: value, key } as const
      addIssue({ message, path: [{ ...item, value: undefined }] })
    }
  }),
  v.transform(({ brokers, topics, ...rest }) => {
    const { connection, ...others } = withConnection(withGuard(withHttps(rest)))
    return {
      ...others,
      cluster: brokers && topics ? { brokers, topics, ...connection } : undefined,
    }
  }),
)

/** The gateway's settings, checked. Without `cluster` and `config` the gateway runs a demo broker. */
export type GatewayConfig = v.InferOutput<typeof gatewaySchema>

/** The result of reading the command line. */
export type CommandLine =
  | { readonly show: 'help' | 'version' }
  | { readonly show?: undefined; readonly flags: Readonly<Record<string, string>> }

/** The flags as `parseArgs` of `node:util` takes them. */
export const flagOptions: Record<string, { type: 'string' | 'boolean'; short?: string }> =
  Object.fromEntries([
    ...Object.values(namings).flatMap(({ flag, value }) =>
      flag === undefined ? [] : [[flag, { type: value ? 'string' : 'boolean' }] as const],
    ),
    ...SWITCHES.map(({ flag, short }) => [flag, { type: 'boolean', short }] as const),
  ])

/** A token of `parseArgs` of `node:util`. */
export interface ArgumentToken {
  readonly kind: 'option' | 'positional' | 'option-terminator'
  readonly name?: string
  readonly rawName?: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

/**
 * Reads the tokens of a command line. `--help` and `--version` take precedence over any error.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS for unknown flags and missing values.
 */
export function readCommandLine(tokens: readonly ArgumentToken[]): CommandLine {
  for (const { flag } of SWITCHES)
    if (tokens.some(({ name }) => name === flag)) return { show: flag }
  const flags: Record<string, string> = {}
  const errors: string[] = []
  const given = tokens.filter(({ kind }) => kind !== 'option-terminator')
  for (const token of given) {
    if (token.name === undefined) continue
    const result = readFlag(token, token.name)
    if ('error' in result) errors.push(result.error)
    else flags[token.name] = result.value
  }
  // An argument is not repeated in the message, since it may be a password. After another error it
  // is not reported: it may be the value of an unknown flag.
  if (errors.length === 0 && given.some(({ name }) => name === undefined)) {
    errors.push('an argument without a flag is not expected; --help shows the flags')
  }
  if (errors.length > 0) throw cannotStart(errors)
  return { flags }
}

function readFlag(
  { rawName, value, inlineValue }: ArgumentToken,
  name: string,
): { readonly value: string } | { readonly error: string } {
  const naming = Object.values(namings).find(({ flag }) => flag === name)
  if (!naming) return { error: `unknown option ${rawName}${suggestion(name)}` }
  if (naming.value === undefined) return { value: value ?? 'true' }
  // A negative number is a value, which the setting refuses by its range.
  const isFlag = !inlineValue && /^-(-|[a-z]$)/i.test(value ?? '')
  const isMissing = !value || isFlag
  if (!isMissing) return { value }
  return { error: `${called(naming)}: a value is missing: --${name} <${naming.value}>` }
}

/** The flag that was probably meant, for the message about an unknown one. */
function suggestion(name: string): string {
  const known = [...Object.keys(flagOptions), KAFKA_BROKERS_FLAG]
  const nearest = nearestName(name, known)
  if (nearest === undefined) return ''
  return ` (did you mean --${nearest === KAFKA_BROKERS_FLAG ? brokers.flag : nearest}?)`
}

/**
 * The gateway's settings: each from its flag, else its variable, else its default. An empty variable
 * counts as not set.
 *
 * @param flags By the name of the flag, without dashes.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names flag, variable and what is allowed.
 */
export function readGatewayConfig(
  flags: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): GatewayConfig {
  const given = givenSettings(flags, environment)
  const result = v.safeParse(gatewaySchema, given)
  if (result.success) return result.output
  throw cannotStart([
    ...new Set(
      result.issues.map((issue) => {
        const [item, part] = issue.path ?? []
        const naming = namings[String(item?.key) as Setting]
        // A part with a name, such as a filter, whose message says what is wrong; topics have numbers.
        const of = typeof part?.key === 'string' ? ` ${JSON.stringify(part.key)}:` : ''
        // The checks of settings that do not fit together are not about the value of one.
        const isOfValue = issue.type !== 'partial_check' && item?.value !== undefined && of === ''
        const ending = isOfValue ? wrongValue(naming, given[String(item.key) as Setting]) : ''
        return `${called(naming)}:${of} ${issue.message}${ending}`
      }),
    ),
  ])
}

/** The characters of a wrong value that a message shows at most. */
const MAX_SHOWN = 80

/** The value that was refused, for a message, unless it may be, or have, a secret. */
function wrongValue({ flag, value }: Naming, text: string | undefined): string {
  if (flag === undefined || text === undefined || value === 'url' || text.includes('@')) return ''
  return `, not "${text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text}"`
}

/** A setting that names a file to read. */
export interface GivenFile {
  /** The setting that names it, such as `kafkaCa`. */
  readonly setting: Setting
  readonly path: string
  /**
   * Why the setting cannot be used, with its names.
   *
   * @param state "it does not exist".
   * @param range Default: "a file that can be read is required".
   */
  error(state: string, range?: string): KafkaConsumeError
}

/**
 * The files that are read because of settings.
 *
 * @param flags By the name of the flag, without dashes.
 */
export function givenFiles(
  flags: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): readonly GivenFile[] {
  const given = givenSettings(flags, environment)
  return Object.entries(namings).flatMap(([setting, naming]): GivenFile[] => {
    const path = given[setting as Setting]
    // The state is a file that may not exist yet.
    if (naming.value !== 'file' || naming === namings.state || path === undefined) return []
    const error = (state: string, range = 'a file that can be read is required') =>
      cannotStart([`${called(naming)}: ${range}, not "${path}": ${state}`])
    return [{ setting: setting as Setting, path, error }]
  })
}

/**
 * The cluster of settings that lack nothing but the names of topics; undefined for any others. Its
 * one topic stands for them.
 *
 * @param flags By the name of the flag, without dashes.
 */
export function clusterWithoutTopics(
  flags: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): GatewayConfig['cluster'] {
  const given = givenSettings(flags, environment)
  if (given.brokers === undefined || given.topics !== undefined) return undefined
  const result = v.safeParse(gatewaySchema, { ...given, topics: 'any' })
  return result.success ? result.output.cluster : undefined
}

function givenSettings(
  flags: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): Partial<Record<Setting, string>> {
  return Object.fromEntries(
    Object.entries(namings).map(([name, { flag, variable }]) => [
      name,
      (flag && flags[flag]) ?? (environment[variable] || undefined),
    ]),
  )
}

/** The text of `--help`. */
export function gatewayHelp(): string {
  const rows = [
    ...Object.entries(settings).map(([name, schema]) => {
      const { flag, variable, value, default: fallback } = namings[name as Setting]
      const ending = fallback === undefined ? '' : ` (default: ${fallback})`
      return [
        flag === undefined ? '' : value ? `--${flag} <${value}>` : `--${flag}`,
        variable,
        `${v.getDescription(schema)}${ending}`,
      ] as const
    }),
    ...SWITCHES.map(
      ({ flag, short, description }) => [`-${short}, --${flag}`, '', description] as const,
    ),
  ]
  const first = Math.max(...rows.map(([flag]) => flag.length)) + 2
  const second = Math.max(...rows.map(([, variable]) => variable.length)) + 2
  const lines = rows.map(([flag, variable, text]) => {
    return `  ${flag.padEnd(first)}${variable.padEnd(second)}${text}`
  })
  return `Usage: ${COMMAND} [options]

Serves Apache Kafka topics over HTTP: GET /messages reads once, GET /stream follows them as
Server-Sent Events; or serves the routes of Kong's configuration, by --config or the Admin API. A
flag takes precedence over its environment variable, and the last of a repeated flag counts.

${lines.join('\n')}`
}

function withKafkaPort(
  brokers: string,
): v.InferInput<typeof optionsSchema.entries.bootstrapServers> {
  return brokers
    .split(',')
    .map((broker) => broker.trim())
    .map((broker) => (PORTLESS_BROKER.test(broker) ? `${broker}:${KAFKA_PORT}` : broker))
    .join(',')
}

function objectOf(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isThreadCount(text: string): boolean {
  return /^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_WORKERS
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535
}

function called({ flag, variable }: Naming): string {
  return flag === undefined ? variable : `--${flag} (${variable})`
}

function cannotStart(errors: readonly string[]): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_OPTIONS', `Cannot start: ${errors.join('; ')}`)
}
