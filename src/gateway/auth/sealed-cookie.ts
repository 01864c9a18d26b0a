/** Cookies whose content only this gateway can read and write: encrypted, and with an expiry. */
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { EncryptJWT, errors, type JWTPayload, jwtDecrypt } from 'jose'
import { toHex } from '../../core/bytes.ts'
import { ownOrigin } from '../../http/request/page-origin.ts'

/** Characters of a cookie's content. Browsers refuse a cookie of more than 4096 bytes with its name. */
const MAX_SEALED = 3_900
const RANDOM_SECRET_BYTES = 32

/** A content that does not fit in a cookie. */
export class CookieTooLong extends Error {}

/**
 * A cookie that holds claims, encrypted by AES-256-GCM as a JSON Web Token (RFC 7516). Any process with
 * the secret reads it, so that the gateway holds nothing in memory for it.
 */
export class SealedCookie {
  readonly #name: string
  readonly #key: Promise<Uint8Array>

  /** @param secret Text of high entropy. Default: a random one, whose cookies end with the process. */
  constructor(name: string, secret: string | undefined) {
    this.#name = name
    this.#key = keyOf(`${name} ${secret ?? randomSecret()}`)
  }

  /**
   * Sets the cookie: for this host only, not readable by scripts, and not sent with requests that
   * pages of other sites make, except when a user follows a link.
   *
   * @param until Milliseconds since 1970.
   * @throws CookieTooLong
   */
  async set(c: Context, claims: JWTPayload, until: number): Promise<void> {
    const seconds = Math.floor(until / 1_000)
    const sealed = await new EncryptJWT(claims)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setExpirationTime(seconds)
      .encrypt(await this.#key)
    if (sealed.length > MAX_SEALED) throw new CookieTooLong()
    const maxAge = Math.max(0, seconds - Math.floor(Date.now() / 1_000))
    setCookie(c, this.#name, sealed, { ...attributes(c), maxAge, httpOnly: true, sameSite: 'Lax' })
  }

  /** The claims of a request's cookie; undefined where it has none, or one that is not valid any more. */
  async read(c: Context): Promise<JWTPayload | undefined> {
    const sealed = this.#sealed(c)
    if (sealed === undefined) return undefined
    try {
      const { payload } = await jwtDecrypt(sealed, await this.#key, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
        requiredClaims: ['exp'],
      })
      return payload
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined
      throw error
    }
  }

  /** Whether a request has the cookie, valid or not. */
  isIn(c: Context): boolean {
    return this.#sealed(c) !== undefined
  }

  delete(c: Context): void {
    deleteCookie(c, this.#name, attributes(c))
  }

  #sealed(c: Context): string | undefined {
    // Most requests of programs have no cookie at all.
    if (c.req.header('Cookie') === undefined) return undefined
    return getCookie(c, this.#name, attributes(c).prefix)
  }
}

/** Over HTTPS the prefix `__Host-` keeps other hosts of the domain from setting the cookie. */
function attributes(c: Context) {
  const isSecure = ownOrigin(c)?.startsWith('https:') ?? false
  return isSecure ? ({ path: '/', secure: true, prefix: 'host' } as const) : { path: '/' }
}

async function keyOf(secret: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(secret)))
}

/** A secret of this process. */
export function randomSecret(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(RANDOM_SECRET_BYTES)))
}
