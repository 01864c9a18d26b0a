import type { KafkaConsumeError } from '../../src/core/errors.ts'
import type { ClusterOptions } from '../../src/port/cluster-options.ts'
import { whyUntrusted } from '../client/broker-certificate.ts'
import {
  type Consumer,
  connectClient,
  createConsumer,
  createProducer,
  disconnectClient,
  type ProducerClient,
  type Settings,
} from '../client/client.ts'
import { connectionError, REFUSED, REFUSED_DELEGATION_TOKEN, UNTRUSTED } from '../client/errors.ts'
import { OAuthTokens } from '../client/oauth-tokens.ts'
import { connectionSettings } from '../client/security.ts'

/** Milliseconds that a client may take to connect. */
export const CONNECT_TIMEOUT_MS = 5_000

/** Settings of every client, unless an option says otherwise. */
const SETTINGS: Settings = {
  'client.id': 'hono-kafka-consume',
  // Within a second a client finds a broker that has come back.
  'reconnect.backoff.ms': 50,
  'reconnect.backoff.max.ms': 1_000,
  'allow.auto.create.topics': false,
}

/** Makes the clients of one cluster: all have its brokers, TLS, credentials and `librdkafka` settings. */
export class ClientFactory {
  readonly #options: ClusterOptions
  readonly #tokens: OAuthTokens | undefined

  constructor(options: ClusterOptions) {
    const { sasl } = options
    this.#options = options
    if (sasl?.mechanism === 'OAUTHBEARER') this.#tokens = new OAuthTokens(sasl)
  }

  /** Why the last request for an OAuth token failed; undefined after one that succeeded. */
  get tokenError(): KafkaConsumeError | undefined {
    return this.#tokens?.error
  }

  /**
   * A connected consumer. A consumer that cannot connect is freed.
   *
   * @throws KafkaConsumeError
   */
  async connectConsumer(purpose: Settings, topicSettings: Settings = {}): Promise<Consumer> {
    // A client without a token would wait for one in silence.
    await this.#tokens?.get()
    const consumer = createConsumer(this.#settings(purpose), topicSettings)
    try {
      await connectClient(consumer, CONNECT_TIMEOUT_MS)
      return consumer
    } catch (error) {
      void disconnectClient(consumer)
      throw error
    }
  }

  /** A producer that is not connected yet. */
  createProducer(purpose: Settings): ProducerClient {
    return createProducer(this.#settings(purpose))
  }

  /** Finds out more about a certificate or a delegation token than the client's error says. */
  async explain(error: KafkaConsumeError): Promise<KafkaConsumeError> {
    const { code, state, detail = '' } = error
    const { tls, sasl } = this.#options
    if (tls && state === UNTRUSTED) {
      return connectionError(code, await whyUntrusted(detail, tls), detail)
    }
    const isToken = sasl?.mechanism !== 'OAUTHBEARER' && sasl?.isDelegationToken
    return isToken && state === REFUSED
      ? connectionError(code, REFUSED_DELEGATION_TOKEN, detail)
      : error
  }

  close(): void {
    this.#tokens?.close()
  }

  /** The settings that users chose go before those that the project chose for speed. */
  #settings(purpose: Settings): Settings {
    const settings = { ...SETTINGS, ...purpose, ...this.#options.librdkafka }
    return { ...settings, ...connectionSettings(this.#options, this.#tokens) }
  }
}
