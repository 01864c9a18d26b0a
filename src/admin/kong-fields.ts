import { describeFields, type KongFields } from '../kong/describe.ts'
import type { Kind } from '../kong/entities.ts'
import { configSchema } from '../kong/plugin-config.ts'
import { entitySchemas } from '../kong/schemas.ts'

/** References, and the kind of what they lead to. */
const REFERENCES: Readonly<Record<string, Kind>> = {
  service: 'services',
  route: 'routes',
  consumer: 'consumers',
  client_certificate: 'certificates',
}

/** The fields of an entity, as its schema has them; a plugin's `config` is `kafka-consume`'s. */
export function entityFields(kind: Kind): KongFields {
  const config = { type: 'record', fields: describeFields(configSchema) }
  return describeFields(entitySchemas[kind], REFERENCES).map((field) =>
    'config' in field ? { config } : field,
  )
}
