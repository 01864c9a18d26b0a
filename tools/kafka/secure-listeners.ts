/** Listeners by their names in Kafka's settings. Clients must refuse the certificates of the last three. */
export const listeners = {
  SASL_PLAINTEXT: { protocol: 'SASL_PLAINTEXT', certificate: undefined },
  SASL_SSL: { protocol: 'SASL_SSL', certificate: 'broker' },
  /** Requires a certificate of the client. */
  SSL: { protocol: 'SSL', certificate: 'broker' },
  EXPIRED: { protocol: 'SSL', certificate: 'expired' },
  FOREIGN: { protocol: 'SSL', certificate: 'foreign' },
  OTHER_HOST: { protocol: 'SSL', certificate: 'other-host' },
} as const

export type SecureListener = keyof typeof listeners

export const secureListeners = Object.keys(listeners) as SecureListener[]

export type SecurePorts = Readonly<Record<SecureListener, number>>
