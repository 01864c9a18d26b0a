/**
 * decK as a client of the Admin API. The program is not part of the project: it is the one that the
 * variable DECK names, or `deck` of the PATH.
 *
 * `DECK=… bun test/kong/deck.ts` runs its commands and records the requests that they make, for
 * `deck.test.ts` to replay, in `deck-requests.json`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayProcess } from '../gateway/gateway-process.ts'

/** A file for decK that leaves out all defaults, with the secrets in {@link secrets}. */
const STATE = `
_format_version: "3.0"
_info: {select_tags: [kafka]}
services:
- name: events
  url: http://kafka.internal/
  routes:
  - name: in-service
    paths: [/in-service]
    plugins:
    - {name: rate-limiting, config: {minute: 5}}
routes:
- name: orders
  hosts: ["*.example.com"]
  snis: [shop.test, "*.shop.test"]
  paths: ["~/orders/\\\\d+$", /messages]
  plugins:
  - name: kafka-consume
    config:
      bootstrap_servers: [{host: localhost, port: 9092}]
      topics: [{name: orders, schema_registry: {confluent: {url: "http://localhost:8081"}}}]
      authentication: {strategy: sasl, mechanism: PLAIN, user: $USER, password: $PASSWORD}
      security: {ssl: false}
- name: sockets
  protocols: [ws, wss]
  paths: [/socket]
  plugins:
  - name: confluent-consume
    config: {bootstrap_servers: [{host: localhost, port: 9092}], topics: [{name: orders}]}
plugins:
- {name: cors, config: {origins: ["https://a.test"], preflight_continue: true}}
- {name: key-auth, route: orders}
- {name: basic-auth, route: orders, config: {brute_force_protection: {strategy: memory}}}
- {name: jwt, route: orders}
consumers:
- username: ann
  custom_id: "7"
  keyauth_credentials: [{key: $KEY_1, ttl: 3600}, {key: $KEY_2}]
  basicauth_credentials: [{username: ann, password: $PASSWORD}]
  jwt_secrets: [{key: issuer, algorithm: HS256, secret: $SECRET}]
- {username: bob}
`

const NAMES = ['USER', 'PASSWORD', 'KEY_1', 'KEY_2', 'SECRET']

/** The variables that the references of {@link referring} read. */
export const secrets = Object.fromEntries(NAMES.map((name) => [`DECK_${name}`, `planted-${name}`]))

/** {@link STATE} with the secrets themselves. */
export const plain = STATE.replace(/\$(\w+)/g, 'planted-$1')
/** {@link STATE} with references to the gateway's environment. */
export const referring = STATE.replace(/\$(\w+)/g, '"{vault://env/DECK_$1}"')

/** The path of decK; undefined where it is not found. */
export function deckProgram(): string | undefined {
  return process.env['DECK'] ?? Bun.which('deck') ?? undefined
}

export interface DeckRun {
  readonly code: number
  readonly output: string
}

/** Runs commands of decK on one file, against one Admin API. */
export class Deck implements AsyncDisposable {
  readonly #program: string
  readonly #folder: string
  readonly #flags: readonly string[]

  private constructor(program: string, folder: string, flags: readonly string[]) {
    this.#program = program
    this.#folder = folder
    this.#flags = flags
  }

  /** @param headers Headers of its requests, as \`--headers\` takes them. */
  static async open(
    program: string,
    adminUrl: string,
    file: string,
    headers: readonly string[] = [],
  ): Promise<Deck> {
    const folder = await mkdtemp(join(tmpdir(), 'deck-'))
    await Bun.write(join(folder, 'kong.yaml'), file)
    const given = headers.flatMap((header) => ['--headers', header])
    return new Deck(program, folder, ['--kong-addr', adminUrl, ...given])
  }

  /** @param command Such as \`sync kong.yaml\`. */
  async run(command: string): Promise<DeckRun> {
    const child = Bun.spawn(
      [this.#program, 'gateway', ...command.split(' '), ...this.#flags, '--analytics=false'],
      { cwd: this.#folder, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
    )
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    return { code, output: stdout + stderr }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** A gateway that serves nothing at first, and has the variables that {@link referring} needs. */
export async function emptyGateway(environment: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'deck-gateway-'))
  const config = join(folder, 'empty.yaml')
  await Bun.write(config, '_format_version: "3.0"')
  const { gateway } = await GatewayProcess.listening(['--config', config], {
    ...secrets,
    ...environment,
  })
  await rm(folder, { recursive: true, force: true })
  return gateway
}

/** A request that decK made, with the status of its answer. */
export interface DeckRequest {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly status: number
}

/** The commands whose requests are recorded. */
export const COMMANDS = [
  ...['ping', 'validate kong.yaml', 'diff kong.yaml', 'sync kong.yaml', 'diff kong.yaml'],
  ...['sync kong.yaml', 'dump -o -', 'reset -f', 'dump -o -'],
]

export interface RecordedCommand {
  readonly command: string
  readonly requests: readonly DeckRequest[]
}

async function record(program: string): Promise<void> {
  await using gateway = await emptyGateway()
  let requests: DeckRequest[] = []
  const proxy = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { method, headers } = request
      const url = new URL(request.url)
      const path = url.pathname + url.search
      const text = await request.text()
      const answer = await fetch(gateway.adminUrl + path, {
        ...{ method, headers },
        body: text === '' ? null : text,
      })
      const body = text === '' ? {} : { body: JSON.parse(text) }
      requests.push({ method, path, ...body, status: answer.status })
      return new Response(await answer.arrayBuffer(), answer)
    },
  })
  const recorded: RecordedCommand[] = []
  await using deck = await Deck.open(program, `http://127.0.0.1:${proxy.port}`, referring)
  for (const command of COMMANDS) {
    requests = []
    const { code, output } = await deck.run(command)
    if (code !== 0) throw new Error(`deck ${command}: ${output}`)
    recorded.push({ command, requests })
    process.stdout.write(`deck gateway ${command}\n${output}\n`)
  }
  await proxy.stop(true)
  const lines = recorded.map(
    ({ command, requests }) =>
      `  {"command": ${JSON.stringify(command)}, "requests": [\n    ${requests.map((each) => JSON.stringify(each)).join(',\n    ')}\n  ]}`,
  )
  await Bun.write(join(import.meta.dirname, 'deck-requests.json'), `[\n${lines.join(',\n')}\n]\n`)
}

if (import.meta.main) {
  const program = deckProgram()
  if (program === undefined)
    throw new Error('Cannot record: DECK is not set and no deck is on the PATH')
  await record(program)
}
