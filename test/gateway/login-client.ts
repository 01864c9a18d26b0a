/** A gateway that requires credentials, and a browser as far as cookies go. */
import { expect } from 'bun:test'
import type { Context } from 'hono'
import { createGateway, type Gateway, type GatewayOptions } from '../../src/gateway/app.ts'
import { readClients } from '../../src/gateway/auth/clients.ts'
import type { GuardOptions } from '../../src/gateway/auth/guard.ts'
import type { SessionOptions } from '../../src/gateway/auth/sessions.ts'
import type { KafkaRoute } from '../../src/gateway/supervisor.ts'
import { clientOf } from '../../src/http/request/client.ts'
import { idleHandler } from '../unit/fakes.ts'

export const HOUR_MS = 3_600_000
export const ORIGIN = 'http://gateway.test'
export const SECRET = 'planted-secret-of-at-least-32-characters'

export const CLIENTS = readClients(
  `
clients:
- {name: ann, password: planted-of-ann}
- {name: bob, key: planted-key-of-bob}
- {name: shop, key: planted-key-of-the-shop, only: {topics: [t]}}
`,
  {},
)

export const make = (): KafkaRoute =>
  Object.assign(
    (c: Context) => {
      const { name = null, only = null, until = null, credentialHeaders = [] } = clientOf(c)
      return Promise.resolve(c.json({ name, only, until, credentialHeaders }))
    },
    {
      start: async () => undefined,
      outage: () => undefined,
      ...idleHandler,
      close: async () => undefined,
    },
  )

export const SESSIONS: SessionOptions = { maxAge: HOUR_MS, secret: SECRET }

/** @param others Without sessions browsers cannot log in. */
export function gatewayOf(
  rest: GuardOptions = {},
  origin = ORIGIN,
  others: Pick<GatewayOptions, 'sessions' | 'addressOf'> = { sessions: SESSIONS },
): Cookies {
  const guard = { clients: CLIENTS, ...rest }
  const cluster = { brokers: ['k:1'], topics: ['t'] }
  const gateway = createGateway({ cluster, guard, ...others }, make)
  return new Cookies(gateway, origin)
}

/** A browser as far as cookies go. */
export class Cookies {
  readonly held = new Map<string, string>()
  readonly set: string[] = []
  readonly gateway: Gateway
  readonly origin: string

  constructor(gateway: Gateway, origin = ORIGIN) {
    this.gateway = gateway
    this.origin = origin
  }

  async ask(
    path: string,
    {
      headers = {},
      ...init
    }: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {},
  ) {
    const cookie = [...this.held].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await this.gateway.app.request(`${this.origin}${path}`, {
      ...init,
      headers: { ...(cookie && { cookie }), ...headers },
    })
    for (const line of response.headers.getSetCookie()) {
      this.set.push(line)
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') this.held.delete(name)
      else this.held.set(name, value)
    }
    const text = await response.text()
    expect(text).not.toContain('planted')
    const { status } = response
    return { status, text, headers: response.headers, location: response.headers.get('location') }
  }

  logIn(form: Record<string, string>, headers: Record<string, string> = {}) {
    return this.ask('/login', { method: 'POST', body: new URLSearchParams(form), headers })
  }

  async name(): Promise<string | undefined> {
    const { status, text } = await this.ask('/messages')
    return status === 200 ? JSON.parse(text).name : undefined
  }
}

export const PAGE = { accept: 'text/html,application/xhtml+xml' }
