/**
 * Kong's plugin `basic-auth`: identifies a consumer by a user name and a password. Its options and
 * messages are Kong's.
 */
import { auth } from 'hono/utils/basic-auth'
import { timingSafeEqual } from 'hono/utils/buffer'
import * as v from 'valibot'
import { limiterKey } from '../../core/fixed-window-limiter.ts'
import * as f from '../model/fields.ts'
import { passwordHash } from '../model/password-hash.ts'
import { accessPlugin } from './access-plugin.ts'
import {
  anonymous,
  authentication,
  challenge,
  credentialHeader,
  foreignPage,
  principals,
} from './authentication.ts'
import type { AnyCredential } from './credentials.ts'
import type { Verdict } from './verdict.ts'

const KEPT = 'is not supported: failures are counted in memory'

const schema = f.record({
  anonymous,
  // Hides the header from records of kafka-upstream.
  hide_credentials: v.optional(f.boolean, true),
  realm: v.optional(f.string, 'service'),
  principals,
  brute_force_protection: f.optional(
    f.record({
      strategy: v.pipe(
        v.optional(f.oneOf('cluster', 'memory', 'off', 'redis'), 'off'),
        v.check(
          (strategy) => strategy === 'memory' || strategy === 'off',
          ({ input }) => `${input} ${KEPT}`,
        ),
      ),
      redis: f.withoutHost(KEPT),
    }),
  ),
})

/** https://docs.konghq.com/hub/kong-inc/basic-auth/ */
export const basicAuth = accessPlugin({
  name: 'basic-auth',
  schema,
  isForConsumers: false,
  make(config, credentials, counters) {
    const isGuarded = config.brute_force_protection?.strategy === 'memory'
    const logins = isGuarded ? counters.logins() : undefined
    const refused = { message: 'Unauthorized', challenge: challenge('Basic', config.realm) }
    const judgePassword = async (username: string, password: string): Promise<Verdict> => {
      const held = credentials().byUsername(username)
      // Passwords are compared for unknown names, too: the time must not reveal which names exist.
      const hash = passwordHash(password, held?.consumer.id ?? '')
      const isRight = await timingSafeEqual(held?.password ?? '', hash)
      const key = await limiterKey(username)
      const accepted = isRight ? held : undefined
      // One call counts and answers: logins at one time must not all see the failures of before.
      const retryAfter = await logins?.count(key, !accepted)
      if (retryAfter !== undefined) return { retryAfter }
      if (!accepted) return refused
      return { id: accepted.id, consumer: accepted.consumer, identifier: accepted.username }
    }
    return authentication(config, credentials, {
      plugin: 'basic-auth',
      identifierOf: (credential: AnyCredential) =>
        'username' in credential ? credential.username : credential.id,
      logIn: async ({ name, secret }) => (name === '' ? undefined : judgePassword(name, secret)),
      judge: (access) => {
        const given = auth(access.c.req.raw)
        if (!given) return { ...refused, isMissing: true }
        credentialHeader(access, 'authorization', config.hide_credentials)
        return foreignPage(access) ?? judgePassword(given.username, given.password)
      },
    })
  },
})
