/** The description of an entity's fields, which `GET /schemas` shows. Forms are read by it, too. */
import { entitySchemas } from '../config/entity-schemas.ts'
import { configField, PLUGIN_NAME } from '../config/plugins.ts'
import type { EntityKind } from '../model/entities.ts'
import { describeFields, type KongFields } from '../model/field-description.ts'

/** References and what they lead to; a field that is none of these holds its own value. */
const REFERENCES: Readonly<Record<string, EntityKind>> = {
  service: 'services',
  route: 'routes',
  consumer: 'consumers',
  client_certificate: 'certificates',
}

/**
 * The fields of an entity, as its schema has them.
 *
 * @param plugin Which plugin's `config` is meant. Default: `kafka-consume`'s.
 */
export function entityFields(kind: EntityKind, plugin = PLUGIN_NAME): KongFields {
  const fields = describeFields(entitySchemas[kind], REFERENCES)
  if (kind !== 'plugins') return fields
  const config = configField(plugin)
  return fields.map((field) => ('config' in field && config ? { config } : field))
}
