import { COMMAND } from './command.ts'
import type { SampleCredentials } from './sample-credentials.ts'

/** The facts of a gateway's banner. */
export interface BannerFacts {
  readonly version: string
  /** The address listened on. */
  readonly host: string
  readonly port: number
  /** HTTPS; undefined without it. */
  readonly https: { readonly port: number; readonly isRedirectedTo: boolean } | undefined
  readonly serves:
    | {
        readonly brokers: readonly string[]
        readonly topics: readonly string[]
        /** Whether the broker is the one in this process. */
        readonly isDemo: boolean
      }
    | {
        /** Kong's declarative file. */
        readonly config: string
        readonly routes: number
      }
  /** The path of the console page; undefined when it is off. */
  readonly console: string | undefined
  /** The address of the Admin API, and whether it requires a token; undefined when it is off. */
  readonly admin:
    | { readonly host: string; readonly port: number; readonly hasToken: boolean }
    | undefined
  /** Credentials of clients; undefined where none are required. */
  readonly credentials: SampleCredentials | undefined
}

/** The banner that a gateway prints when it listens: what it serves, and commands to try. */
export function banner(facts: BannerFacts): string {
  const { version, host, port, https, serves, credentials } = facts
  const address = `${reachable(host)}:${port}`
  const secure = https && `https://${reachable(host)}:${https.port}`
  const isDemo = 'isDemo' in serves && serves.isDemo
  const own = isDemo
    ? `
  Your own Kafka:

    ${COMMAND} --brokers localhost:9092 --topics orders,payments
`
    : ''
  return `
  hono-kafka-consume ${version}: Apache Kafka over HTTP, on http://${address}${secure ? ` and ${secure}` : ''}

  ${whatIsServed(serves)}

  Try it${credentials ? `; ${credentials.hint}` : ''}:

${commands(https?.isRedirectedTo && secure ? secure : address, facts)}
${own}
  Ctrl-C ends it; --help shows the settings.
`
}

function whatIsServed(serves: BannerFacts['serves']): string {
  if ('config' in serves) {
    const { config, routes } = serves
    return `Routes   ${routes} of ${config}, which SIGHUP reads again`
  }
  const { brokers, topics, isDemo } = serves
  if (isDemo) {
    return `A demo: a Kafka broker in this process, with the events of a small shop in topic
  ${topics.join(', ')}: 1,000 of the last hour, and about 5 more each second.
  The records are in memory, and are gone when this process ends.`
  }
  return `Brokers  ${brokers.join(', ')}
  Topics   ${topics.join(', ')}`
}

type Line = readonly [command: string, what: string]

function commands(address: string, { serves, console, admin, credentials }: BannerFacts): string {
  const lines: Line[] = 'topics' in serves ? reads(address, credentials) : []
  const page = address.startsWith('https:') ? address : `http://${address}`
  if (console !== undefined) lines.push([`${page}${console}`, 'the console page, for a browser'])
  lines.push([`curl ${address}/readyz`, 'whether Kafka can be read'])
  if (admin) {
    const token = admin.hasToken ? "-H 'Kong-Admin-Token: TOKEN' " : ''
    lines.push([
      `curl ${token}${reachable(admin.host)}:${admin.port}/routes`,
      "routes, by Kong's Admin API",
    ])
  }
  const width = Math.max(...lines.map(([command]) => command.length)) + 3
  return lines.map(([command, what]) => `    ${command.padEnd(width)}${what}`).join('\n')
}

/** The commands that read records; none where only a browser can log in. */
function reads(address: string, credentials: SampleCredentials | undefined): Line[] {
  if (credentials && credentials.curl === undefined) return []
  const options = credentials ? `${credentials.curl} ` : ''
  return [
    credentials?.hasScope
      ? [`curl ${options}'${address}/messages?start=earliest'`, 'the oldest records']
      : [`curl ${options}${address}/messages`, 'the next records: each goes to one client'],
    [`curl ${options}-N ${address}/stream`, 'new records as they come, for every client'],
    [`curl ${options}-N '${address}/stream?start=earliest'`, 'a stream from the oldest record on'],
  ]
}

/** An address that a client on this machine can use. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
