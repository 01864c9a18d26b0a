/** Which clients of the Admin API see secrets; all others see `***` in their place. */
import type { Context } from 'hono'
import { maskEntity, type ShowEntity, showEntity } from '../config/masked-secrets.ts'

export interface ShownSecrets {
  /**
   * The token that each request must have in `Kong-Admin-Token`. Answers then show secrets, as Kong's
   * do. Default: no login, and only decK on this machine sees secrets.
   */
  readonly token?: string | undefined
  /** Whether a program on this machine sent a request. Default: none did. */
  readonly isLocal?: ((c: Context) => boolean) | undefined
}

/** How a client sees entities. */
export type ChooseShow = (c: Context) => ShowEntity

/**
 * decK compares the secrets of a file with those of the answers, so it sees them. Its `User-Agent`
 * proves nothing: whoever reaches an Admin API without a token may change everything, and have
 * secrets sent to a broker of their choice. `***` keeps secrets out of terminals, logs and tickets.
 */
export function showFor({ token, isLocal = () => false }: ShownSecrets): ChooseShow {
  if (token !== undefined) return () => showEntity
  return (c) => (isDeck(c) && isLocal(c) ? showEntity : maskEntity)
}

function isDeck(c: Context): boolean {
  return c.req.header('User-Agent')?.startsWith('decK/') ?? false
}
