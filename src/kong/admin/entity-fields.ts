/** The description of an entity's fields, which `GET /schemas` shows. Forms are read by it, too. */
import { entitySchemas } from '../config/entity-schemas.ts'
import { configField } from '../config/plugins.ts'
import type { EntityKind } from '../model/entities.ts'
import { describeFields, type KongFields } from '../model/field-description.ts'

/** The kind of entity that each reference leads to. Other fields hold a value of their own. */
const REFERENCES: Readonly<Record<string, EntityKind>> = {
  service: 'services',
  route: 'routes',
  consumer: 'consumers',
  certificate: 'certificates',
  client_certificate: 'certificates',
}

/**
 * The fields of an entity, as its schema has them.
 *
 * @param plugin The plugin whose `config` is described. Default: `kafka-consume`.
 */
export function entityFields(kind: EntityKind, plugin = 'kafka-consume'): KongFields {
  const fields = describeFields(entitySchemas[kind], REFERENCES)
  if (kind !== 'plugins') return fields
  const config = configField(plugin)
  return fields.map((field) => ('config' in field && config ? { config } : field))
}
