/** What a gateway's banner tells. */
export interface BannerFacts {
  readonly version: string
  /** The address listened on. */
  readonly host: string
  readonly port: number
  readonly brokers: readonly string[]
  readonly topics: readonly string[]
  /** Whether the broker is the one in this process. */
  readonly isDemo: boolean
}

/** What the gateway prints when it listens: what it serves, and lines to copy into a shell. */
export function banner({ version, host, port, brokers, topics, isDemo }: BannerFacts): string {
  const address = `${reachable(host)}:${port}`
  const serves = isDemo
    ? `A demo: a Kafka broker in this process, with the events of a small shop in topic
  ${topics.join(', ')}: 1,000 of the last hour, and about 5 more each second.
  All of it is in memory and gone when this ends.`
    : `Brokers  ${brokers.join(', ')}
  Topics   ${topics.join(', ')}`
  const lines = [
    [`curl ${address}/messages`, 'the next records, each to one caller'],
    [`curl -N ${address}/stream`, 'records as they come, to everyone'],
    [`curl -N '${address}/stream?start=earliest'`, 'the same from the oldest on'],
    [`curl ${address}/readyz`, 'whether Kafka can be read'],
  ] as const
  const width = Math.max(...lines.map(([command]) => command.length)) + 3
  const own = isDemo
    ? `
  Your own Kafka:

    bun run server --brokers localhost:9092 --topics orders,payments
`
    : ''
  return `
  hono-kafka-consume ${version}: Apache Kafka over HTTP, on http://${address}

  ${serves}

  Try it:

${lines.map(([command, what]) => `    ${command.padEnd(width)}${what}`).join('\n')}
${own}
  Ctrl-C ends it; --help shows the settings.
`
}

/** An address that a client on this machine can use. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
