/** A thread that serves clients. Another thread owns Kafka and starts this one. */
import '../../core/runtime.ts'
import { settledWithin } from '../../core/deadline.ts'
import { logOf } from '../../core/log.ts'
import { doInTurns } from '../../core/sliced-work.ts'
import type { KongSnapshot } from '../../kong/model/entities.ts'
import { SchemaViolation } from '../../kong/model/schema-violation.ts'
import { ListReceiver } from '../../threads/sent-entities.ts'
import type { KnownClient } from '../auth/clients.ts'
import { EndedSessions } from '../auth/sessions.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'
import { OneThreadServer, type SharedPorts } from './gateway-server.ts'
import type { AppliedEntities, GatewayThreadSettings, SentEntities } from './gateway-threads.ts'
import { beginServing, joinPool } from './join-pool.ts'
import { loadTracing } from './load-tracing.ts'
import { ANSWER_GRACE_MS, closeTracing } from './shutdown.ts'
import { logByOtherThread } from './thread-log.ts'

const { settings, messenger, kafka, gauges, counts } = joinPool<GatewayThreadSettings>()
const { config, cluster } = settings
logByOtherThread(messenger, config.logLevel, config.logFormat)

const ended = new EndedSessions((id) => messenger.notify('sessionEnded', id))
const entities = new ListReceiver()
const log = logOf('threads')
let shown: ReadonlySet<string> = new Set()
let applying: Promise<AppliedEntities> = Promise.resolve({})

const tracing = await loadTracing(process.env)
const server = new OneThreadServer(withEndedSessions(config), {
  cluster,
  mayShow: (variable) => shown.has(variable),
  tracing,
  threads: {
    ...counts,
    metrics: () => messenger.request('metrics'),
    status: () => messenger.request('status'),
  },
})

messenger.handle({
  apply: (sent: SentEntities) => {
    // One after another: the next entities may come while these are applied in turns.
    applying = applying.then(() => apply(sent))
    return applying
  },
  listen: (known: SharedPorts | undefined) => server.listenWithOthers(known),
  start: () => server.start(),
  replaceClients: (clients: readonly KnownClient[]) => server.replaceClients(clients),
  reloadCertificates: () => server.reloadCertificates(),
  endSession: (id: string) => ended.note(id),
  notReady: () => server.notReady(),
  report: async () => {
    await kafka.refreshStatistics()
    return server.gateway.report()
  },
  close: async () => {
    const answered = server.stop()
    await server.close()
    await settledWithin(answered, ANSWER_GRACE_MS)
    await closeTracing(tracing)
  },
})
beginServing(messenger, () => server.abort())

async function apply({ lists, shown: variables }: SentEntities): Promise<AppliedEntities> {
  const snapshot = entities.receive(lists) as unknown as KongSnapshot
  shown = variables
  try {
    for (const part of server.parts) {
      if (part.applyInTurns) await doInTurns(part.applyInTurns(snapshot))
      else await part.apply(snapshot)
    }
    await gauges.ready()
    return {}
  } catch (error) {
    if (error instanceof SchemaViolation) return { violation: error.fields }
    log.error('Cannot serve other entities: {error}', { error })
    return { violation: { '@entity': 'a thread cannot serve it' } }
  }
}

function withEndedSessions(settings: GatewayConfig): GatewayConfig {
  const { sessions } = settings
  return sessions ? { ...settings, sessions: { ...sessions, ended } } : settings
}
