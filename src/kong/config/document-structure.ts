/** Where entities may be in a declarative document, and in which order they are built. */
import type { EntityKind } from '../model/entities.ts'

/** The kinds of entities that may be nested in an entity. */
export const CHILDREN: Readonly<Record<EntityKind, readonly EntityKind[]>> = {
  services: ['routes', 'plugins'],
  routes: ['plugins'],
  plugins: [],
  consumers: ['plugins', 'keyauth_credentials', 'basicauth_credentials', 'jwt_secrets'],
  keyauth_credentials: [],
  basicauth_credentials: [],
  jwt_secrets: [],
  certificates: ['snis'],
  snis: [],
}
/** The field by which a nested entity refers to its parent. */
export const FIELD = {
  services: 'service',
  routes: 'route',
  consumers: 'consumer',
  certificates: 'certificate',
} as const
const NONE = /^(?!)/
/** Nested fields of Kong and its plugins that are not served. */
export const NESTED_UNSERVED: Readonly<Record<EntityKind, RegExp>> = {
  services: /^(?:document_objects|graphql_\w+|degraphql_routes)$/,
  routes: /^(?:degraphql_routes|sources|destinations)$/,
  plugins: /^(?:ordering|partials|condition|consumer_group)$/,
  consumers: /^(?:\w+_credentials|\w+_secrets|acls|groups|consumer_group_consumers)$/,
  keyauth_credentials: NONE,
  basicauth_credentials: NONE,
  jwt_secrets: NONE,
  certificates: NONE,
  snis: NONE,
}
/** Entities are built after those that they refer to. */
export const BUILD_ORDER: readonly EntityKind[] = [
  'services',
  'certificates',
  'snis',
  'consumers',
  'routes',
  'plugins',
  'keyauth_credentials',
  'basicauth_credentials',
  'jwt_secrets',
]
