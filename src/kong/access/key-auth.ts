/**
 * Kong's plugin `key-auth`: identifies a consumer by a key in a header or in the query. Its options
 * and messages are Kong's.
 */
import type { Context } from 'hono'
import * as v from 'valibot'
import { asKafkaConsumeError, KafkaConsumeError } from '../../core/errors.ts'
import * as f from '../model/fields.ts'
import { accessPlugin, type KongAccess } from './access-plugin.ts'
import {
  anonymous,
  authentication,
  challenge,
  credentialHeader,
  OWN_CREDENTIALS,
  principals,
} from './authentication.ts'
import { expiryOf } from './credentials.ts'
import { type KeyedBody, readKeyedBody } from './key-in-body.ts'
import type { Verdict } from './verdict.ts'

const schema = f.record({
  key_names: v.optional(f.array(f.headerName), ['apikey']),
  // Hides a key in a header or body from records of kafka-upstream; one in the query is always hidden.
  hide_credentials: v.optional(f.boolean, true),
  anonymous,
  key_in_header: v.optional(f.boolean, true),
  key_in_query: v.optional(f.boolean, true),
  key_in_body: v.optional(f.boolean, false),
  run_on_preflight: v.optional(f.boolean, true),
  realm: f.optional(f.string),
  identity_realms: f.unserved(OWN_CREDENTIALS, ({ scope }) => scope === 'cp'),
  principals,
})

type KeyAuthConfig = v.InferOutput<typeof schema>

/** https://docs.konghq.com/hub/kong-inc/key-auth/ */
export const keyAuth = accessPlugin({
  name: 'key-auth',
  schema,
  isForConsumers: false,
  make(config, credentials) {
    const refusal = (message: string) => ({ message, challenge: challenge('Key', config.realm) })
    const judgeKey = (key: string): Verdict => {
      const found = credentials().byKey(key)
      if (!found) return refusal('Unauthorized')
      return { id: found.id, consumer: found.consumer, until: expiryOf(found) }
    }
    return authentication(config, credentials, {
      plugin: 'key-auth',
      logIn: async ({ name, secret }) => (name === '' ? judgeKey(secret) : undefined),
      judge: async (access) => {
        const body = await bodyOf(access, config)
        if (body instanceof KafkaConsumeError) return { error: body }
        const [key, ...others] = presentedKey(access, config, body)
        if (key === undefined) return { ...refusal('No API key found in request'), isMissing: true }
        return others.length > 0 ? refusal('Duplicate API key found') : judgeKey(key)
      },
    })
  },
})

/** The body of a request that may have its key there; undefined where it is not looked at. */
async function bodyOf({ c }: KongAccess, { key_in_body }: KeyAuthConfig) {
  if (!key_in_body) return undefined
  try {
    return await readKeyedBody(c)
  } catch (error) {
    return asKafkaConsumeError(error)
  }
}

/**
 * The key of a request under the first of `key_names` that has one: in its header, else in the query,
 * else in the body. It has several elements where it is given more than once in one of these.
 */
function presentedKey(
  access: KongAccess,
  { key_names, key_in_header, key_in_query, hide_credentials }: KeyAuthConfig,
  body: KeyedBody | undefined,
): readonly string[] {
  const { c, credentialParameters } = access
  const query = new URL(c.req.url).searchParams
  for (const name of key_names) {
    const inHeader = key_in_header ? headerValues(c, name) : []
    if (inHeader.length > 0) credentialHeader(access, name, hide_credentials)
    const inQuery = key_in_query ? query.getAll(name) : []
    if (inQuery.length > 0) credentialParameters.push(name)
    const inBody = body?.all(name) ?? []
    if (hide_credentials && inBody.length > 0) body?.remove(name)
    const found = [inHeader, inQuery, inBody].find(([first]) => first)
    if (found) return found
  }
  return []
}

/** The value of a header, which runtimes join where a client repeats it. */
function headerValues(c: Context, name: string): readonly string[] {
  const value = c.req.header(name)
  return value ? [value] : []
}
