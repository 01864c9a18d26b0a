/** The clients of other authors, and what each of them reads. */
import { ProgramClient } from './field-client.ts'
import { type Command, goClients, npmClients, ownClients, pythonClients } from './installed.ts'
import { PageClient } from './page-client.ts'
import type { Fault, Reader } from './reading.ts'

const EVENTS = { scheme: 'http', path: '/stream?start=earliest' } as const
const SOCKET = { scheme: 'ws', path: '/socket?start=earliest' } as const

/** Clients by the package manager that has them; each is called as its program. */
const PROGRAMS = {
  'this package': {
    provide: ownClients,
    events: ['stream', 'stream-deno'],
    sockets: ['socket'],
  },
  npm: {
    provide: npmClients,
    events: [
      'eventsource-2',
      'eventsource-3',
      'eventsource-4',
      'eventsource-5',
      'fetch-event-source',
      'eventsource-client',
      'reconnecting-eventsource',
    ],
    sockets: ['ws'],
  },
  PyPI: {
    provide: pythonClients,
    events: ['sseclient_py', 'httpx_sse_client', 'aiohttp_sse_client', 'requests_sse_client'],
    sockets: ['websockets_client'],
  },
  Go: {
    provide: goClients,
    events: ['r3labs', 'go-sse'],
    sockets: ['coder-websocket'],
  },
} as const

/** Where clients come from. */
export type Origin = keyof typeof PROGRAMS

const EARLY_ID: Fault = {
  lost: 2,
  reason:
    'it keeps an id before the empty line that ends the event, and a cut between these two bytes loses the event: once in some hundred cuts',
}

const FAULTS: Readonly<Record<string, Fault>> = {
  'eventsource-2': EARLY_ID,
  'fetch-event-source': EARLY_ID,
}

/** Installs the clients of a package manager where they are missing. */
export function provide(origin: Origin): Promise<Command> {
  return PROGRAMS[origin].provide()
}

/**
 * @param command Of the same package manager.
 * @param withSockets Whether what is in between passes WebSockets on.
 */
export function readersOf(origin: Origin, command: Command, withSockets: boolean): Reader[] {
  const { events, sockets } = PROGRAMS[origin]
  const reader = (place: typeof EVENTS | typeof SOCKET) => (name: string) => ({
    ...place,
    name,
    open: program(command(name)),
    fault: FAULTS[name],
  })
  const found: Reader[] = events.map(reader(EVENTS))
  if (withSockets) found.push(...sockets.map(reader(SOCKET)))
  return found
}

/** Reads as the consumer group, by acknowledgements: at least once. */
export function acknowledgingReader(argv: readonly string[]): Reader {
  return {
    scheme: 'ws',
    path: '/socket?acks=true',
    name: 'acks',
    open: program(argv),
    fault: {
      doubled: Number.POSITIVE_INFINITY,
      reason: 'a record whose acknowledgement did not arrive is delivered again',
    },
  }
}

function program(argv: readonly string[]): Reader['open'] {
  return (url, partitions) => new ProgramClient([...argv, url], partitions)
}

/** @param origin Of the pages. */
export function chromiumReaders(origin: string): Reader[] {
  const pages = { EventSource: '/', stream: '/own' }
  return Object.entries(pages).map(([name, path]) => ({
    ...EVENTS,
    name,
    open: (url, partitions) => PageClient.open(`${origin}${path}`, url, partitions),
  }))
}
