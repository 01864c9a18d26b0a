/**
 * Kong's plugin `rate-limiting` with the policy `local`: counts requests in this process. Further
 * policies of Kong's are refused by name.
 */
import * as v from 'valibot'
import {
  ALL_PERIODS,
  limiterKey,
  type RateLimits,
  rateLimitHeaders,
} from '../../core/fixed-window-limiter.ts'
import * as f from '../model/fields.ts'
import { accessPlugin, type KongAccess, refuse } from './access-plugin.ts'

const KEPT = 'is not supported: counters are kept in memory'
const LIMITS = ALL_PERIODS
const limit = f.optional(f.positive)

const schema = v.pipe(
  f.record({
    second: limit,
    minute: limit,
    hour: limit,
    day: limit,
    month: limit,
    year: limit,
    limit_by: v.optional(
      f.oneOf('consumer', 'credential', 'ip', 'service', 'header', 'path'),
      'consumer',
    ),
    header_name: f.optional(f.headerName),
    path: f.optional(f.path),
    policy: f.only(f.oneOf('local', 'cluster', 'redis'), 'local'),
    // Counters in memory don't fail, and need not be brought together.
    fault_tolerant: v.optional(f.boolean, true),
    redis: f.withoutHost(KEPT),
    hide_client_headers: v.optional(f.boolean, false),
    error_code: v.optional(f.integer(100, 599), 429),
    error_message: v.optional(f.string, 'API rate limit exceeded'),
    sync_rate: f.only(f.number(), -1),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const given = LIMITS.flatMap((period) => {
      const value = dataset.value[period]
      return value === null ? [] : [{ period, value }]
    })
    if (given.length === 0) {
      const names = LIMITS.map((period) => `'config.${period}'`).join(', ')
      addIssue({ message: `at least one of these fields must be non-empty: ${names}` })
    }
    for (const [index, { period, value }] of given.entries()) {
      const lower = given.slice(0, index).find((other) => other.value > value)
      if (!lower) continue
      addIssue({
        message: `The limit for ${period}(${value.toFixed(1)}) cannot be lower than the limit for ${lower.period}(${lower.value.toFixed(1)})`,
      })
      break
    }
    const { limit_by, header_name, path } = dataset.value
    const missing =
      (limit_by === 'header' && header_name === null && 'header_name') ||
      (limit_by === 'path' && path === null && 'path')
    if (!missing) return
    const item = { type: 'object', origin: 'value', input: dataset.value } as const
    addIssue({
      message: 'required field missing',
      path: [{ ...item, key: missing, value: undefined }],
    })
  }),
)

type RateLimitingConfig = v.InferOutput<typeof schema>

/** https://docs.konghq.com/hub/kong-inc/rate-limiting/ */
export const rateLimiting = accessPlugin({
  name: 'rate-limiting',
  schema,
  isForConsumers: true,
  make(config, _credentials, counters) {
    const requests = counters.requests(limitsOf(config))
    return async (access) => {
      const { c } = access
      const client = await limiterKey(clientOf(access, config))
      const { usages, exceeded } = await requests.count(client)
      if (!config.hide_client_headers) {
        for (const [name, value] of rateLimitHeaders(usages)) c.header(name, value)
      }
      if (!exceeded) return undefined
      c.header('Retry-After', String(exceeded.reset))
      return refuse(c, config.error_code, 'RATE_LIMITED', config.error_message, { retryable: true })
    }
  },
})

function limitsOf(config: RateLimitingConfig): RateLimits {
  return Object.fromEntries(LIMITS.map((period) => [period, config[period]]))
}

/** The client whose counters a request adds to: its address, if `limit_by` finds nothing else. */
function clientOf(
  { c, consumer, credential, address, serviceId }: KongAccess,
  config: RateLimitingConfig,
): string {
  const { limit_by: by, header_name: header, path } = config
  const found = {
    consumer: consumer?.id ?? credential,
    credential,
    ip: undefined,
    service: serviceId,
    header: header === null ? undefined : c.req.header(header),
    path: c.req.path === path ? path : undefined,
  }[by]
  // The prefix keeps an address apart from a header's value that looks like one.
  return found === undefined ? `ip ${address}` : `${by} ${found}`
}
