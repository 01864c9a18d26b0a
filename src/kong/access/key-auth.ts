import * as v from 'valibot'
import * as f from '../model/fields.ts'
import { anonymous, authentication, challenge, type Verdict } from './authentication.ts'
import { accessPlugin } from './plugin.ts'

const schema = f.record({
  key_names: v.optional(f.array(f.headerName), ['apikey']),
  // Nothing is sent on to where credentials would have to be hidden from.
  hide_credentials: v.optional(f.boolean, false),
  anonymous,
  key_in_header: v.optional(f.boolean, true),
  key_in_query: v.optional(f.boolean, true),
  key_in_body: f.only(f.boolean, false),
  run_on_preflight: v.optional(f.boolean, true),
  realm: f.optional(f.string),
  identity_realms: f.unserved('is not supported: credentials are those of this gateway'),
})

/** https://docs.konghq.com/hub/kong-inc/key-auth/ */
export const keyAuth = accessPlugin({
  name: 'key-auth',
  schema,
  isForConsumers: false,
  make: (config, credentials) =>
    authentication(config, credentials, ({ c, credentialParameters }): Verdict => {
      const why = challenge('Key', config.realm)
      const query = new URL(c.req.url).searchParams
      for (const name of config.key_names) {
        const asked = config.key_in_query ? query.getAll(name) : []
        if (asked.length > 0) credentialParameters.push(name)
        const given = (config.key_in_header && c.req.header(name)) || asked[0]
        if (!given) continue
        if (asked.length > 1) return { message: 'Duplicate API key found', challenge: why }
        return credentials().byKey(given) ?? { message: 'Unauthorized', challenge: why }
      }
      return { message: 'No API key found in request', challenge: why }
    }),
})
