import { join } from 'node:path'
import type { KafkaConsumeOptions } from '../../src/index.ts'
import { type LocalBroker, startBroker } from '../../tools/kafka/broker.ts'
import { reader } from '../../tools/kafka/credentials.ts'
import { credentialsFolder } from '../../tools/kafka/secure.ts'
import type { SecureListener } from '../../tools/kafka/secure-listeners.ts'
import { TestKafka } from '../support/kafka.ts'
import { runTool } from '../support/kafka-tools.ts'
import { until } from '../support/wait.ts'
import { TokenEndpoint } from './token-endpoint.ts'

/** Groups that `reader` may join have names with this beginning. */
export const ALLOWED_GROUP = 'allowed-'

/** A broker that authenticates clients, an endpoint for tokens, and a topic that `reader` may read. */
export class Secured {
  readonly broker: LocalBroker
  /** Connected by the listener without authentication, whose users may do everything. */
  readonly kafka: TestKafka
  readonly tokens: TokenEndpoint
  /** The topic that `reader` may read. */
  readonly topic: string
  /** The topic that `reader` may describe and not read. */
  readonly visible: string

  private constructor(
    broker: LocalBroker,
    kafka: TestKafka,
    tokens: TokenEndpoint,
    [topic, visible]: readonly [string, string],
  ) {
    this.broker = broker
    this.kafka = kafka
    this.tokens = tokens
    this.topic = topic
    this.visible = visible
  }

  /** @param properties Settings of the broker in place of the usual ones. */
  static async start(
    name = 'security',
    properties: Readonly<Record<string, string>> = {},
  ): Promise<Secured> {
    const broker = await startBroker({
      name: `${name}-${process.pid}`,
      port: 0,
      secure: true,
      owned: true,
      properties,
    })
    const folder = credentialsFolder(broker.cluster)
    const tokens = await TokenEndpoint.start(folder)
    const kafka = await TestKafka.connect(broker.bootstrapServers, { autoCreate: false })
    const topics = [await kafka.createTopic(1), await kafka.createTopic(1)] as const
    const [topic, visible] = topics
    await kafka.produce(topic, [{ value: 'for those who may' }])
    await kafka.produce(visible, [{ value: 'for those who may more' }])
    const secured = new Secured(broker, kafka, tokens, topics)
    const allow = ['--add', '--allow-principal', `User:${reader.name}`, '--operation']
    await Promise.all([
      secured.tool(
        ...(['kafka-acls', ...allow, 'Read', '--topic', topic, '--group', ALLOWED_GROUP] as const),
        ...['--resource-pattern-type', 'prefixed'],
      ),
      secured.tool('kafka-acls', ...allow, 'Describe', '--topic', visible),
    ])
    return secured
  }

  async close(): Promise<void> {
    await this.kafka.close()
    await this.tokens.close()
    await this.broker.stop()
  }

  bootstrapServers(listener: SecureListener, host = 'localhost'): string {
    return `${host}:${this.broker.cluster.secure?.[listener]}`
  }

  /** The path of a certificate or a key. */
  file(name: string): string {
    return join(credentialsFolder(this.broker.cluster), name)
  }

  pem(name: string): Promise<string> {
    return Bun.file(this.file(name)).text()
  }

  /** Runs one of Kafka's own tools by the listener without authentication. */
  async tool(name: string, ...args: string[]): Promise<void> {
    await runTool(name, this.broker.bootstrapServers, args)
  }

  /** Creates a delegation token of `reader`: an id and an HMAC. */
  async createDelegationToken(): Promise<DelegationToken> {
    const lines = await this.#runAsReader('--create', '--max-life-time-period', '-1')
    const columns = lines.map((line) => line.split(/\s+/))
    const [id = '', hmac = ''] =
      columns.find(([, , owner]) => owner === `User:${reader.name}`) ?? []
    if (hmac === '') throw new Error(`Cannot make a delegation token: ${lines.join('\n')}`)
    // The controller answers before the broker has heard of the token, here and below.
    await until(() => this.#isKnown({ id, hmac }), 'the broker to accept the token', 60_000)
    return { id, hmac }
  }

  async removeDelegationToken(token: DelegationToken): Promise<void> {
    await this.#runAsReader('--expire', '--hmac', token.hmac, '--expiry-time-period', '-1')
    await until(async () => !(await this.#isKnown(token)), 'the broker to refuse the token', 60_000)
  }

  #isKnown({ id, hmac }: DelegationToken): Promise<boolean> {
    const login = `"${id}" password="${hmac}" tokenauth="true"`
    return this.#runAs(login, 'kafka-topics', ['--list']).then(
      () => true,
      () => false,
    )
  }

  /** Runs the tool as `reader`: Kafka creates no tokens for clients without authentication. */
  #runAsReader(...args: string[]): Promise<string[]> {
    const login = `"${reader.name}" password="${reader.password}"`
    return this.#runAs(login, 'kafka-delegation-tokens', args)
  }

  /** @param login A user's name in quotation marks, and what else its login has. */
  async #runAs(login: string, tool: string, args: readonly string[]): Promise<string[]> {
    const file = this.file('login.properties')
    const module = 'org.apache.kafka.common.security.scram.ScramLoginModule'
    const lines = [
      'security.protocol=SASL_PLAINTEXT',
      'sasl.mechanism=SCRAM-SHA-256',
      `sasl.jaas.config=${module} required username=${login};`,
    ]
    await Bun.write(file, lines.join('\n'))
    const servers = this.bootstrapServers('SASL_PLAINTEXT')
    return runTool(tool, servers, ['--command-config', file, ...args])
  }

  /** The options with which a route authenticates by a mechanism and a listener. */
  options(listener: SecureListener, mechanism?: Mechanism): Partial<KafkaConsumeOptions> {
    return {
      bootstrapServers: this.bootstrapServers(listener),
      ...(listener !== 'SASL_PLAINTEXT' && {
        security: { ssl: true, ca: { file: this.file('ca.pem') } },
      }),
      ...(mechanism && { authentication: this.authentication(mechanism) }),
    }
  }

  authentication(mechanism: Mechanism): NonNullable<KafkaConsumeOptions['authentication']> {
    if (mechanism !== 'OAUTHBEARER') {
      return { strategy: 'sasl', mechanism, user: reader.name, password: reader.password }
    }
    return {
      strategy: 'sasl',
      mechanism,
      oauthbearer: {
        tokenEndpointUrl: this.tokens.url,
        clientId: reader.name,
        clientSecret: reader.password,
      },
    }
  }
}

/** By its id as user and its HMAC as password somebody is let in. */
export interface DelegationToken {
  readonly id: string
  readonly hmac: string
}

export type Mechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'
