/**
 * Kong's plugin `cors`: answers preflights, and allows pages of other origins to read answers.
 * Origins may be regular expressions, in RE2's syntax.
 */
import type { Context } from 'hono'
import * as v from 'valibot'
import * as f from '../model/fields.ts'
import { checkPattern } from '../model/pattern.ts'
import { accessPlugin } from './access-plugin.ts'

const METHODS = [
  'GET',
  'HEAD',
  'PUT',
  'PATCH',
  'POST',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
] as const
/** The texts that Kong takes for an address; anything else is a regular expression. */
const PLAIN = /^[\w.:/-]+$/

const origin = v.pipe(
  f.string,
  v.check(
    (text) => text === '*' || PLAIN.test(text) || patternOf(text).error === undefined,
    ({ input }) => `'${input}' is not a valid regex: ${patternOf(input).error}`,
  ),
)

const schema = f.record({
  origins: f.optional(f.array(origin)),
  headers: f.optional(f.array(f.string)),
  exposed_headers: f.optional(f.array(f.string)),
  methods: v.optional(f.array(f.oneOf(...METHODS)), [...METHODS]),
  max_age: f.optional(f.number()),
  credentials: v.optional(f.boolean, false),
  private_network: v.optional(f.boolean, false),
  preflight_continue: v.optional(f.boolean, false),
  allow_origin_absent: v.optional(f.boolean, true),
})

type CorsConfig = v.InferOutput<typeof schema>

/** https://docs.konghq.com/hub/kong-inc/cors/ */
export const cors = accessPlugin({
  name: 'cors',
  schema,
  isForConsumers: false,
  make(config) {
    const isAllowed = originsOf(config.origins ?? [])
    return (access) => {
      const { c } = access
      const from = c.req.header('Origin')
      const isPreflight =
        c.req.method === 'OPTIONS' &&
        from !== undefined &&
        c.req.header('Access-Control-Request-Method') !== undefined
      // The plugins behind answer such a preflight, and no header is added to their answer.
      if (isPreflight && config.preflight_continue) return undefined
      if (from === undefined && !config.allow_origin_absent) return undefined
      allowOrigin(c, config, from, isAllowed)
      // Credentials need an origin that is named: with `*` any page could use its visitor's
      // credentials.
      if (from !== undefined && config.credentials && isAllowed !== 'any' && isAllowed(from)) {
        access.credentialOrigin = from
      }
      if (isPreflight) return answerPreflight(c, config)
      if (config.exposed_headers?.length) {
        c.header('Access-Control-Expose-Headers', config.exposed_headers.join(','))
      }
      return undefined
    }
  },
})

/** `any`, or a function that tells whether an origin is allowed. */
type Allowed = 'any' | ((origin: string) => boolean)

function originsOf(origins: readonly string[]): Allowed {
  if (origins.length === 0 || origins.includes('*')) return 'any'
  const tests = origins.map((entry) => {
    const byHost = !entry.includes(':')
    const pattern = PLAIN.test(entry) ? undefined : patternOf(entry)
    if (!pattern?.test) return (origin: string) => normal(origin) === normal(entry)
    return (origin: string) => pattern.test(byHost ? hostOf(origin) : normal(origin))
  })
  return (origin) => tests.some((test) => test(origin))
}

function allowOrigin(
  c: Context,
  { credentials }: CorsConfig,
  from: string | undefined,
  allowed: Allowed,
): void {
  if (allowed === 'any' && !credentials) {
    c.header('Access-Control-Allow-Origin', '*')
    return
  }
  c.header('Vary', 'Origin', { append: true })
  if (from === undefined || (allowed !== 'any' && !allowed(from))) return
  c.header('Access-Control-Allow-Origin', from)
  if (credentials) c.header('Access-Control-Allow-Credentials', 'true')
}

function answerPreflight(c: Context, config: CorsConfig): Response {
  const asked = c.req.header('Access-Control-Request-Headers')
  const headers = config.headers?.length ? config.headers.join(',') : asked
  if (headers !== undefined) c.header('Access-Control-Allow-Headers', headers)
  c.header('Access-Control-Allow-Methods', config.methods.join(','))
  if (config.max_age !== null) c.header('Access-Control-Max-Age', String(config.max_age))
  if (config.private_network && c.req.header('Access-Control-Request-Private-Network') === 'true') {
    c.header('Access-Control-Allow-Private-Network', 'true')
  }
  return c.body(null, 200)
}

/** An expression must match the whole origin, even without `^` and `$`. */
function patternOf(entry: string) {
  return checkPattern(entry, 'whole')
}

/** An origin without its scheme's default port. */
function normal(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).origin : origin
}

function hostOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).hostname : origin
}
