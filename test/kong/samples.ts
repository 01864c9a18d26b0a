/** A plugin with what it must have. */
export const PLUGIN = {
  name: 'kafka-consume',
  config: {
    bootstrap_servers: [{ host: 'localhost', port: 9092 }],
    topics: [{ name: 'kong-test' }],
  },
}

/** Nobody's: PEM in its shape only. */
export const CERTIFICATE = {
  cert: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
  key: '-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----',
}
