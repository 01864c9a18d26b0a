/** The description of an entity's fields, which `GET /schemas` shows. Forms are read by it, too. */
import { entitySchemas } from '../config/entity-schemas.ts'
import { configField, isForConsumers, pluginProtocols } from '../config/plugins.ts'
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
 * @param plugin The plugin whose `config` and `protocols` are described. Default: `kafka-consume`.
 */
export function entityFields(kind: EntityKind, plugin = 'kafka-consume'): KongFields {
  const fields = describeFields(entitySchemas[kind], REFERENCES)
  if (kind !== 'plugins') return fields
  const own = new Map(pluginFields(plugin).flatMap((field) => Object.entries(field)))
  return fields.map((field) =>
    Object.fromEntries(Object.entries(field).map(([name, each]) => [name, own.get(name) ?? each])),
  )
}

/**
 * The fields that depend on a plugin's name: `config`, `protocols`, and where the plugin may be.
 *
 * @param name One of `PLUGIN_NAMES`.
 */
export function pluginFields(name: string): KongFields {
  const config = configField(name)
  const protocols = pluginProtocols(name)
  const consumer = { type: 'foreign', reference: 'consumers' }
  return [
    { consumer: isForConsumers(name) ? consumer : { ...consumer, eq: null } },
    { route: { type: 'foreign', reference: 'routes' } },
    { service: { type: 'foreign', reference: 'services' } },
    { consumer_group: { type: 'foreign', reference: 'consumer_groups', eq: null } },
    {
      protocols: {
        type: 'set',
        required: true,
        default: protocols,
        elements: { type: 'string', one_of: protocols },
      },
    },
    ...(config ? [{ config }] : []),
  ]
}
