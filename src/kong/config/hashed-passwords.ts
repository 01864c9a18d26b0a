/** Passwords of `basic-auth` are kept as hashes, as in Kong. */
import type { EntityKind, EntityKinds } from '../model/entities.ts'
import { passwordHash } from '../model/password-hash.ts'
import { isVaultReference } from '../model/references.ts'
import { isMask } from './masked-secrets.ts'

/**
 * An entity whose password is replaced by its hash. Vault references and masks stay: the value that
 * they stand for is known later.
 */
export function hashPassword<K extends EntityKind>(
  kind: K,
  entity: EntityKinds[K],
): EntityKinds[K] {
  if (kind !== 'basicauth_credentials') return entity
  const { password, consumer } = entity as EntityKinds['basicauth_credentials']
  if (isVaultReference(password) || isMask(password)) return entity
  return { ...entity, password: passwordHash(password, consumer.id) }
}
