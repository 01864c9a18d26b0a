/**
 * The types of options with their docstrings. `bun test/option-types.ts` generates this file from the
 * schemas: do not edit it. It has more than 400 lines because one file has all options.
 */
import type { FormatRecord } from '../records/format.ts'
import type { SchemaOfTopic, StandardSchema } from '../records/standard-schema.ts'
import type { Transform } from '../records/transform.ts'

/** How to reach Kafka. */
export interface KafkaConnectionOptions {
  /**
   * Brokers to connect to first: `"host:port,host:port"`, or an array of such texts or of
   * `{host, port}`. They name the other brokers.
   *
   * `INVALID_OPTIONS` otherwise: a broker must be "host:port", with a port from 1 to 65,535; at
   * least one broker is required.
   */
  readonly bootstrapServers: string | ReadonlyArray<string | BrokerAddress>

  /**
   * Name of the Kafka cluster in logs, metrics and `stats()`; without it they show the brokers.
   * Routes share connections where this, brokers, `authentication`, `security` and `librdkafka` are
   * equal.
   */
  readonly clusterName?: string | undefined

  /**
   * SASL: `strategy: "sasl"` and a `mechanism`, with `user` and `password`, or with `oauthbearer`.
   * Secrets are text, or `{file}`.
   * @default {}
   */
  readonly authentication?: AuthenticationOptions | undefined

  /**
   * TLS: `ssl: true`, verified by `ca` or the system's authorities unless `sslVerify` is false;
   * `certificate` and `key` are the client's. Each is PEM text, or `{file}`.
   * @default {}
   */
  readonly security?: SecurityOptions | undefined

  /**
   * Further properties of librdkafka, by name. Those that other options set are refused, and so are
   * those that reading and writing depend on.
   */
  readonly librdkafka?: Readonly<Record<string, string | number | boolean>> | undefined
}

/** Where a broker listens. */
export interface BrokerAddress {
  /**
   * Name or IP address of the broker.
   *
   * `INVALID_OPTIONS` otherwise: a host must not be empty; a host must be a name or an IP address.
   */
  readonly host: string

  /**
   * TCP port of the broker.
   *
   * `INVALID_OPTIONS` otherwise: a port must be a whole number from 1 to 65,535.
   */
  readonly port: number
}

/** How to authenticate at Kafka by SASL. */
export interface AuthenticationOptions {
  /**
   * `sasl` authenticates by SASL; without it there is no authentication.
   *
   * `INVALID_OPTIONS` otherwise: it must be "sasl".
   */
  readonly strategy?: 'sasl' | undefined

  /**
   * SASL mechanism. Required with `strategy`.
   *
   * `INVALID_OPTIONS` otherwise: it must be "PLAIN" or "SCRAM-SHA-256" or "SCRAM-SHA-512" or
   * "OAUTHBEARER".
   */
  readonly mechanism?: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER' | undefined

  /** User name, or id of a delegation token. Required with PLAIN and SCRAM. */
  readonly user?: string | undefined

  /** Password, or HMAC of a delegation token. Required with PLAIN and SCRAM. */
  readonly password?: string | FileReference | undefined

  /** Whether `user` and `password` are those of a delegation token, which needs SCRAM. */
  readonly tokenauth?: boolean | undefined

  /** Token endpoint and client. Required with `mechanism: "OAUTHBEARER"`. */
  readonly oauthbearer?: OauthBearerOptions | undefined
}

/** A file that holds the value. It is read again for each new connection. */
export interface FileReference {
  /** Path of the file. */
  readonly file: string
}

/** How a token for SASL OAUTHBEARER is requested (client credentials). */
export interface OauthBearerOptions {
  /**
   * URL of the OAuth 2 token endpoint. Required.
   *
   * `INVALID_OPTIONS` otherwise: an http or https URL is required.
   */
  readonly tokenEndpointUrl?: string | undefined

  /** Client id at the token endpoint. Required. */
  readonly clientId?: string | undefined

  /** Client secret at the token endpoint. Required. */
  readonly clientSecret?: string | FileReference | undefined

  /** Scopes to request. */
  readonly scopes?: ReadonlyArray<string> | undefined

  /**
   * SASL extensions (RFC 7628) to send to the broker, by name.
   *
   * `INVALID_OPTIONS` otherwise: names of letters only, but not "auth", are required, and values
   * without control characters.
   */
  readonly extensions?: Readonly<Record<string, string>> | undefined

  /**
   * Whether the certificate of the token endpoint is verified.
   * @default true
   */
  readonly tokenEndpointTlsVerify?: boolean | undefined
}

/** How to connect to Kafka by TLS. */
export interface SecurityOptions {
  /** Whether to connect by TLS. */
  readonly ssl?: boolean | undefined

  /**
   * Whether the brokers' certificates and host names are verified.
   * @default true
   */
  readonly sslVerify?: boolean | undefined

  /**
   * Certificates of the authorities by which brokers and token endpoints are verified, as PEM;
   * without it the system's.
   */
  readonly ca?: string | FileReference | undefined

  /** Client certificate to show to brokers, as PEM. It needs `key`. */
  readonly certificate?: string | FileReference | undefined

  /** Private key of `certificate`, as PEM. */
  readonly key?: string | FileReference | undefined
}

/** How requests are written to Kafka. */
export interface KafkaProducerOptions extends KafkaConnectionOptions {
  /**
   * Topic of the records, or of those whose request names none.
   *
   * `INVALID_OPTIONS` otherwise: a topic must be 1 to 249 of the characters a-z A-Z 0-9 . _ -.
   */
  readonly topic: string

  /**
   * Milliseconds after which an unanswered request to a broker fails: the socket's.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of milliseconds from 0 to 2,147,483,647 is
   * required.
   * @default 10000
   */
  readonly timeout?: number | undefined

  /** Name of the query parameter that holds the record's key; without it there is none. */
  readonly keyQueryArg?: string | undefined

  /**
   * When a record counts as written: `-1` once all in-sync replicas have it, and exactly once
   * whatever connections do meanwhile; `1` once the leader of its partition has it; `0` once it is
   * sent.
   *
   * `INVALID_OPTIONS` otherwise: it must be -1 or 0 or 1.
   * @default 1
   */
  readonly producerRequestAcks?: -1 | 0 | 1 | undefined

  /**
   * Milliseconds in which a broker must answer a Produce request.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of milliseconds from 0 to 2,147,483,647 is
   * required.
   * @default 2000
   */
  readonly producerRequestTimeout?: number | undefined

  /**
   * Records of one Produce request to a partition at most.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of records from 1 to 2,147,483,647 is required.
   * @default 200
   */
  readonly producerRequestLimitsMessagesPerRequest?: number | undefined

  /**
   * Bytes of one Produce request to a partition at most; a larger record goes alone.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of bytes from 1 to 2,147,483,647 is required.
   * @default 1048576 (1 MiB)
   */
  readonly producerRequestLimitsBytesPerRequest?: number | undefined

  /**
   * How often a Produce request is sent again at most.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of attempts from 0 to 2,147,483,647 is required.
   * @default 10
   */
  readonly producerRequestRetriesMaxAttempts?: number | undefined

  /**
   * Milliseconds before a Produce request is sent again.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of milliseconds from 0 to 2,147,483,647 is
   * required.
   * @default 100
   */
  readonly producerRequestRetriesBackoffTimeout?: number | undefined

  /**
   * Whether records are buffered, and not waited for. With `false` each is sent at once.
   * @default true
   */
  readonly producerAsync?: boolean | undefined

  /**
   * Milliseconds for which a buffered record waits for others to be sent with.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of milliseconds from 0 to 2,147,483,647 is
   * required.
   * @default 1000
   */
  readonly producerAsyncFlushTimeout?: number | undefined

  /**
   * Records that wait for Kafka at most, and 64 MiB of them; one more is refused, and counted as
   * lost where its request was answered before.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of records from 1 to 2,147,483,647 is required.
   * @default 50000
   */
  readonly producerAsyncBufferingLimitsMessagesInMemory?: number | undefined

  /**
   * Schema registry by which values and keys are validated and encoded, as Avro or by JSON Schema:
   * `{confluent: {url, valueSchema, keySchema}}`.
   * @default {}
   */
  readonly schemaRegistry?: ProducerRegistryOptions | undefined
}

/** Where the schemas are by which records are encoded. */
export interface ProducerRegistryOptions {
  /** The registry, one with Confluent's API. */
  readonly confluent?: ProducerConfluentRegistryOptions | undefined
}

/** A schema registry with Confluent's API, and the schemas of what is written. */
export interface ProducerConfluentRegistryOptions {
  /**
   * URL of the registry. Required.
   *
   * `INVALID_OPTIONS` otherwise: an http or https URL without a user in it is required.
   */
  readonly url?: string | undefined

  /**
   * Seconds for which a schema is cached; without it for ever.
   *
   * `INVALID_OPTIONS` otherwise: a number of seconds from 0 to 3,600 is required.
   */
  readonly ttl?: number | undefined

  /**
   * Whether the certificate of the registry is verified.
   * @default true
   */
  readonly sslVerify?: boolean | undefined

  /**
   * How to authenticate at the registry.
   * @default {}
   */
  readonly authentication?: RegistryAuthenticationOptions | undefined

  /**
   * Schema of values; without it they are not encoded.
   *
   * `INVALID_OPTIONS` otherwise: subjectName is required when there is a version.
   */
  readonly valueSchema?: RegistrySubjectOptions | undefined

  /**
   * Schema of keys; without it they are not encoded.
   *
   * `INVALID_OPTIONS` otherwise: subjectName is required when there is a version.
   */
  readonly keySchema?: RegistrySubjectOptions | undefined
}

/** How to authenticate at the schema registry. */
export interface RegistryAuthenticationOptions {
  /**
   * Method of authentication.
   *
   * `INVALID_OPTIONS` otherwise: it must be "none" or "basic" or "oauth2".
   * @default 'none'
   */
  readonly mode?: 'none' | 'basic' | 'oauth2' | undefined

  /** User and password. Required with `mode: "basic"`. */
  readonly basic?: RegistryBasicOptions | undefined

  /** Token endpoint and grant. Required with `mode: "oauth2"`. */
  readonly oauth2?: RegistryOauth2Options | undefined

  /** How the token is requested, with `mode: "oauth2"`. */
  readonly oauth2Client?: RegistryOauth2ClientOptions | undefined
}

/** Basic authentication at the schema registry. */
export interface RegistryBasicOptions {
  /** User name. */
  readonly username: string

  /** Password. */
  readonly password: string
}

/** How a token for the schema registry is requested. */
export interface RegistryOauth2Options {
  /**
   * URL of the OAuth 2 token endpoint.
   *
   * `INVALID_OPTIONS` otherwise: an http or https URL without a user in it is required.
   */
  readonly tokenEndpoint: string

  /**
   * OAuth 2 grant by which a token is requested.
   *
   * `INVALID_OPTIONS` otherwise: it must be "client_credentials" or "password".
   * @default 'client_credentials'
   */
  readonly grantType?: 'client_credentials' | 'password' | undefined

  /** Client id. Required with the grant `client_credentials`. */
  readonly clientId?: string | undefined

  /** Client secret. Required with the grant `client_credentials`, unless `authMethod` is `none`. */
  readonly clientSecret?: string | undefined

  /** User name. Required with the grant `password`. */
  readonly username?: string | undefined

  /** Password. Required with the grant `password`. */
  readonly password?: string | undefined

  /**
   * Scopes to request.
   * @default ['openid']
   */
  readonly scopes?: ReadonlyArray<string> | undefined

  /**
   * Audiences to request.
   * @default []
   */
  readonly audience?: ReadonlyArray<string> | undefined

  /**
   * Further headers of the token request, by name. `target-sr-cluster` and
   * `Confluent-Identity-Pool-Id` are sent to the registry, too, as Confluent Cloud requires.
   */
  readonly tokenHeaders?: Readonly<Record<string, string>> | undefined

  /** Further form fields of the token request, by name. */
  readonly tokenPostArgs?: Readonly<Record<string, string>> | undefined
}

/** How the client of the token endpoint behaves. */
export interface RegistryOauth2ClientOptions {
  /**
   * How the client authenticates at the token endpoint.
   *
   * `INVALID_OPTIONS` otherwise: it must be "client_secret_basic" or "client_secret_post" or
   * "client_secret_jwt" or "none".
   * @default 'client_secret_post'
   */
  readonly authMethod?:
    | 'client_secret_basic'
    | 'client_secret_post'
    | 'client_secret_jwt'
    | 'none'
    | undefined

  /**
   * Algorithm of the JWT of `client_secret_jwt`.
   *
   * `INVALID_OPTIONS` otherwise: it must be "HS256" or "HS512".
   * @default 'HS512'
   */
  readonly clientSecretJwtAlg?: 'HS256' | 'HS512' | undefined

  /** Kong's field for an HTTP proxy: not supported yet, and refused with `oauth2`. */
  readonly httpProxy?: string | undefined

  /** Kong's field for the credentials of `httpProxy`: without effect. */
  readonly httpProxyAuthorization?: string | undefined

  /**
   * HTTP version of the token request; only 1.1 is supported.
   * @default 1.1
   */
  readonly httpVersion?: number | undefined

  /** Kong's field for an HTTPS proxy: not supported yet, and refused with `oauth2`. */
  readonly httpsProxy?: string | undefined

  /** Kong's field for the credentials of `httpsProxy`: without effect. */
  readonly httpsProxyAuthorization?: string | undefined

  /**
   * Kong's field for keeping connections open: without effect.
   * @default true
   */
  readonly keepAlive?: boolean | undefined

  /** Kong's field for hosts without a proxy: without effect. */
  readonly noProxy?: string | undefined

  /**
   * Whether the certificate of the token endpoint is verified.
   * @default true
   */
  readonly sslVerify?: boolean | undefined

  /**
   * Milliseconds that the token endpoint has for its answer.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of milliseconds from 0 to 2,147,483,646 is
   * required.
   * @default 10000
   */
  readonly timeout?: number | undefined
}

/** The schema by which keys or values are encoded. */
export interface RegistrySubjectOptions {
  /** Subject of the schema. Required. */
  readonly subjectName?: string | undefined

  /**
   * Version of the schema: a number as text, or `latest`, which it is by default.
   *
   * `INVALID_OPTIONS` otherwise: it must be "latest", or a whole number from 1 as text.
   */
  readonly schemaVersion?: string | undefined
}

/** Options of `kafkaConsume`. */
export interface KafkaConsumeOptions extends KafkaConnectionOptions {
  /**
   * Topics to read, 1 to 100, in this order: `"name,name"`, an array of names or of
   * `{name, schema, key, headers, schemaRegistry}`, or an object with the schema of each topic.
   *
   * `INVALID_OPTIONS` otherwise: a topic must be 1 to 249 of the characters a-z A-Z 0-9 . _ -; at
   * least one topic is required; at most 100 topics are allowed; each topic may be named only once.
   */
  readonly topics: KafkaTopics

  /**
   * How records are delivered: `http-get` as one answer to each GET, `server-sent-events` or
   * `websocket` as a stream; `auto` chooses by the `Accept` and `Upgrade` headers.
   *
   * `INVALID_OPTIONS` otherwise: mode must be "http-get", "server-sent-events", "websocket" or
   * "auto".
   * @default 'http-get'
   */
  readonly mode?: 'http-get' | 'server-sent-events' | 'websocket' | 'auto' | undefined

  /**
   * How values are delivered: `noop` as strings, `json` as parsed JSON. Default: `json` where a
   * topic has a `schema`, else `noop`.
   *
   * `INVALID_OPTIONS` otherwise: messageDeserializer must be "noop" or "json".
   */
  readonly messageDeserializer?: 'noop' | 'json' | undefined

  /**
   * Where a consumer group without committed offsets starts: `earliest` at the oldest record that
   * Kafka keeps, `latest` at the end.
   *
   * `INVALID_OPTIONS` otherwise: autoOffsetReset must be "earliest" or "latest".
   * @default 'latest'
   */
  readonly autoOffsetReset?: 'earliest' | 'latest' | undefined

  /**
   * `auto` commits records once they were delivered; `off` commits only what clients post to
   * `…/offsets`, or handlers commit by `commit()`.
   *
   * `INVALID_OPTIONS` otherwise: commitStrategy must be "auto" or "off".
   * @default 'auto'
   */
  readonly commitStrategy?: 'auto' | 'off' | undefined

  /**
   * Schema registry of keys and values: `{confluent: {url, …}}`, one with Confluent's API. A topic
   * may have its own.
   * @default {}
   */
  readonly schemaRegistry?: SchemaRegistryOptions | undefined

  /**
   * Lua functions, `return function(message) … end`, called in turn with each record: each returns
   * the record, changed or not, or nil to drop it.
   */
  readonly messageByLuaFunctions?: ReadonlyArray<string> | undefined

  /**
   * Whether records that cannot be deserialized, transformed or validated go to `dlqTopic` instead
   * of to clients.
   */
  readonly enableDlq?: boolean | undefined

  /**
   * Topic of the dead letters. It must exist, and must not be one of `topics`. Required with
   * `enableDlq`.
   *
   * `INVALID_OPTIONS` otherwise: a topic must be 1 to 249 of the characters a-z A-Z 0-9 . _ -.
   */
  readonly dlqTopic?: string | undefined

  /**
   * The consumer group of reads without a position: `random` derives a lasting id from brokers and
   * topics, `manual` takes `consumerGroupId`, `kong_consumer` takes the name of the client
   * (`c.var.kafkaClient`). `groupInstanceId` makes this process a static member, which keeps its
   * partitions while it restarts.
   * @default { mode: 'random' }
   */
  readonly consumerGroup?: ConsumerGroupOptions | undefined

  /**
   * `returnErrorMessage` shows the Kafka client's own words to HTTP clients.
   * @default {}
   */
  readonly errorHandling?: ErrorHandlingOptions | undefined

  /**
   * Form of answers: `kong` has records by topic and partition (streams: as `records`), `records`
   * is a flat list, `value` has values alone, `cloudevents` has CloudEvents. Clients can ask for
   * another by the parameter `format`.
   *
   * `INVALID_OPTIONS` otherwise: responseFormat must be "kong", "records", "value" or
   * "cloudevents".
   * @default 'kong'
   */
  readonly responseFormat?: 'kong' | 'records' | 'value' | 'cloudevents' | undefined

  /**
   * Called with each record, it returns the JSON that clients get instead of `responseFormat`; they
   * cannot ask for another.
   */
  readonly format?: FormatRecord | undefined

  /**
   * Called with each record on its way to clients: returns it, changed or not, or `null` to drop
   * it.
   */
  readonly transform?: Transform | undefined

  /**
   * The compression for clients that accept it: none (`off`), of answers of single reads
   * (`answers`), or of streams as well (`all`).
   *
   * `INVALID_OPTIONS` otherwise: compression must be "off", "answers" or "all".
   * @default 'answers'
   */
  readonly compression?: 'off' | 'answers' | 'all' | undefined

  /**
   * Filters by name, each an expression of CEL, that clients use by `?filter=@name`:
   * `{ big: "value.total > 1000" }`, 100 at most.
   *
   * `INVALID_OPTIONS` otherwise: filters must have at most 100 names.
   */
  readonly filters?: Readonly<Record<string, string>> | undefined

  /**
   * Which caches may keep full pages from a cursor: none (`off`), those of clients (`private`), or
   * proxies as well (`public`), except for clients with credentials.
   *
   * `INVALID_OPTIONS` otherwise: pageCaching must be "off", "private" or "public".
   * @default 'private'
   */
  readonly pageCaching?: 'off' | 'private' | 'public' | undefined

  /**
   * Milliseconds for which caches may keep a page. They may have its records for so long after
   * Kafka has deleted them; for compacted topics it must not exceed `delete.retention.ms`.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of milliseconds from 1,000 to 31,536,000,000 is
   * required.
   * @default 3600000
   */
  readonly pageMaxAge?: number | undefined

  /**
   * Milliseconds of silence on a stream after which a heartbeat is sent.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of milliseconds from 100 to 3,600,000 is required.
   * @default 8000
   */
  readonly heartbeat?: number | undefined

  /**
   * Milliseconds for which a client may read nothing until its stream is closed.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of milliseconds from 100 to 3,600,000 is required.
   * @default 60000
   */
  readonly writeDeadline?: number | undefined

  /**
   * Milliseconds after which a stream ends, after a whole event and up to a fifth sooner at random,
   * so that its client resumes on any node; without it streams do not end.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of milliseconds from 1,000 to 2,592,000,000 is
   * required.
   */
  readonly maxStreamAge?: number | undefined

  /**
   * Bytes of the ring buffer: the newest records, which all streams of the topics share. Older ones
   * are read from Kafka.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of bytes from 65,536 to 4,294,967,296 is required.
   * @default 67108864 (64 MiB)
   */
  readonly ringBytes?: number | undefined

  /**
   * Open streams at most; one more is refused with 503 `TOO_MANY_SUBSCRIBERS`.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of streams from 1 to 1,000,000 is required.
   * @default 20000
   */
  readonly maxSubscribers?: number | undefined

  /**
   * Bytes of answers to single reads that clients have not read yet, at most. Answers become
   * shorter as less is left; one that does not fit is refused with 503 `TOO_MANY_ANSWERS`.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of bytes from 1,048,576 to 68,719,476,736 is
   * required.
   * @default 134217728 (128 MiB)
   */
  readonly maxAnswerBytes?: number | undefined

  /**
   * Concurrent catch-up reads, of records older than the ring buffer, each with its own consumer;
   * one more is refused with 503 `TOO_MANY_CATCH_UP_READS`.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of catch-up reads from 1 to 48 is required.
   * @default 16
   */
  readonly maxCatchUpReads?: number | undefined

  /**
   * Concurrent consumer groups of clients (`kong_consumer`), each with its own consumer; for one
   * more the least recently used idle one is closed, else it is refused with 503 `TOO_MANY_GROUPS`.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of groups from 1 to 1,000 is required.
   * @default 64
   */
  readonly maxGroups?: number | undefined
}

/** Topics, whose schemas give their records types. */
export type KafkaTopics = string | ReadonlyArray<string | TopicOptions> | SchemaOfTopic

/** A topic with options of its own. */
export interface TopicOptions {
  /**
   * Name of the topic.
   *
   * `INVALID_OPTIONS` otherwise: a topic must be 1 to 249 of the characters a-z A-Z 0-9 . _ -.
   */
  readonly name: string

  /**
   * Schema registry of this topic, instead of that of the route.
   * @default {}
   */
  readonly schemaRegistry?: SchemaRegistryOptions | undefined

  /**
   * Schema of the values, of any library that implements Standard Schema. It types them, validates
   * them, and its output takes their place.
   */
  readonly schema?: StandardSchema | undefined

  /** Schema of the keys, which are texts, or `null` where a record has none. */
  readonly key?: StandardSchema | undefined

  /** Schema of the headers, an object of texts, arrays of texts, or `null`. */
  readonly headers?: StandardSchema | undefined
}

/** Where the schemas of keys and values are. */
export interface SchemaRegistryOptions {
  /** The registry, one with Confluent's API. */
  readonly confluent?: ConfluentRegistryOptions | undefined
}

/** A schema registry with Confluent's API. */
export interface ConfluentRegistryOptions {
  /**
   * URL of the registry. Required.
   *
   * `INVALID_OPTIONS` otherwise: an http or https URL without a user in it is required.
   */
  readonly url?: string | undefined

  /**
   * Seconds for which a schema is cached; without it for ever.
   *
   * `INVALID_OPTIONS` otherwise: a number of seconds from 0 to 3,600 is required.
   */
  readonly ttl?: number | undefined

  /**
   * Whether the certificate of the registry is verified.
   * @default true
   */
  readonly sslVerify?: boolean | undefined

  /**
   * How to authenticate at the registry.
   * @default {}
   */
  readonly authentication?: RegistryAuthenticationOptions | undefined
}

/** The consumer group of reads without a position. */
export interface ConsumerGroupOptions {
  /**
   * Where the id of the group comes from: `random` derives a lasting one from brokers and topics,
   * `manual` takes `consumerGroupId`, `kong_consumer` takes the name of the client
   * (`c.var.kafkaClient`).
   *
   * `INVALID_OPTIONS` otherwise: mode must be "random", "kong_consumer" or "manual".
   * @default 'random'
   */
  readonly mode?: 'random' | 'kong_consumer' | 'manual' | undefined

  /**
   * Id of the group. Required with `mode: "manual"`.
   *
   * `INVALID_OPTIONS` otherwise: consumerGroupId must not be empty; consumerGroupId must have at
   * most 255 characters.
   */
  readonly consumerGroupId?: string | undefined

  /**
   * Kafka's `group.instance.id`: makes this process a static member, which keeps its partitions
   * while it restarts. Each process needs one of its own.
   *
   * `INVALID_OPTIONS` otherwise: 1 to 249 letters, digits, dots, dashes and underscores are
   * required.
   */
  readonly groupInstanceId?: string | undefined

  /**
   * Kafka's `group.protocol`, the protocol by which members join: `consumer` needs Kafka 4. A group
   * then answers at once, also where it is new, and the brokers decide after how long a silent
   * member has left. Default: `classic`.
   *
   * `INVALID_OPTIONS` otherwise: groupProtocol must be "classic" or "consumer".
   */
  readonly groupProtocol?: 'classic' | 'consumer' | undefined
}

/** The content of error answers. */
export interface ErrorHandlingOptions {
  /**
   * Whether the Kafka client's own words are in answers, as `detail`.
   * @default false
   */
  readonly returnErrorMessage?: boolean | undefined
}

/** Options of `kafkaProduce`. */
export interface KafkaProduceOptions extends KafkaConnectionOptions {
  /**
   * Topics that may be written to, 1 to 100: `"name,name"`, an array of names or of
   * `{name, schema, key, headers}`, or an object with the schema of each topic. If there are
   * several, a request names one by the parameter `topic` or in each record.
   *
   * `INVALID_OPTIONS` otherwise: a topic must be 1 to 249 of the characters a-z A-Z 0-9 . _ -; at
   * least one topic is required; at most 100 topics are allowed; each topic may be named only once;
   * records are written as they come: a schema registry is of no use here.
   */
  readonly topics: KafkaTopics

  /**
   * When a record counts as written: with `all` once all in-sync replicas have it, and exactly once
   * whatever connections do meanwhile; with `leader` once the leader of its partition has it, which
   * may lose it.
   *
   * `INVALID_OPTIONS` otherwise: acks must be "all" or "leader".
   * @default 'all'
   */
  readonly acks?: 'all' | 'leader' | undefined

  /**
   * Records of one request at most; more are refused with 413 `RECORD_TOO_LARGE`.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of records from 1 to 10,000 is required.
   * @default 1000
   */
  readonly maxRecords?: number | undefined

  /**
   * Bytes of one request's body at most; more are refused with 413 `RECORD_TOO_LARGE`.
   *
   * `INVALID_OPTIONS` otherwise: a whole number of bytes from 1 to 67,108,864 is required.
   * @default 1048576 (1 MiB)
   */
  readonly maxBytes?: number | undefined

  /**
   * `returnErrorMessage` shows the Kafka client's own words to HTTP clients.
   * @default {}
   */
  readonly errorHandling?: ErrorHandlingOptions | undefined
}

/** Options of `kafkaUpstream`. */
export interface KafkaUpstreamOptions extends KafkaProducerOptions {
  /**
   * Name of the query parameter by which a request names its topics, separated by commas; without
   * it, or without the parameter, records go to `topic`.
   */
  readonly topicsQueryArg?: string | undefined

  /**
   * Topics that requests may name, besides `topic`.
   *
   * `INVALID_OPTIONS` otherwise: a topic must be 1 to 249 of the characters a-z A-Z 0-9 . _ -.
   */
  readonly allowedTopics?: ReadonlyArray<string> | undefined

  /**
   * Whether values have the request's method.
   * @default false
   */
  readonly forwardMethod?: boolean | undefined

  /**
   * Whether values have the request's path and query.
   * @default false
   */
  readonly forwardUri?: boolean | undefined

  /**
   * Whether values have the request's headers.
   * @default false
   */
  readonly forwardHeaders?: boolean | undefined

  /**
   * Whether values have the request's body.
   * @default true
   */
  readonly forwardBody?: boolean | undefined

  /**
   * Which headers of a request become headers of its records; none by default.
   * @default {}
   */
  readonly headers?: RecordHeadersOptions | undefined

  /**
   * Lua functions, `return function(message) … end`, called in turn: each returns the message,
   * changed or not, or what is sent in its place, or nil to send nothing.
   */
  readonly messageByLuaFunctions?: ReadonlyArray<string> | undefined

  /**
   * `returnErrorMessage` shows the Kafka client's own words to HTTP clients.
   * @default {}
   */
  readonly errorHandling?: ErrorHandlingOptions | undefined
}

/** Which headers of a request become headers of its records. */
export interface RecordHeadersOptions {
  /**
   * Whether headers of requests become headers of records at all.
   * @default true
   */
  readonly forwardHttpHeadersAsRecordHeaders?: boolean | undefined

  /**
   * `true`: all headers but `excludeHeaders`; `false`: only `includeHeaders`.
   * @default false
   */
  readonly forwardAllByDefault?: boolean | undefined

  /**
   * Names of the headers that become headers of records.
   * @default []
   */
  readonly includeHeaders?: ReadonlyArray<string> | undefined

  /**
   * Names of the headers that do not, with `forwardAllByDefault`.
   * @default []
   */
  readonly excludeHeaders?: ReadonlyArray<string> | undefined

  /**
   * From a header's name in the request to its name in the record.
   * @default {}
   */
  readonly nameMappings?: Readonly<Record<string, string>> | undefined

  /**
   * How a repeated header of a request is written: as a header of the record for each value, for
   * the first value, or for all values joined by commas.
   *
   * `INVALID_OPTIONS` otherwise: it must be "retain_duplicates" or "take_first" or
   * "concatenate_by_comma".
   * @default 'retain_duplicates'
   */
  readonly repeatedHeadersBehavior?:
    | 'retain_duplicates'
    | 'take_first'
    | 'concatenate_by_comma'
    | undefined
}

/** Options of `kafkaLog`. */
export interface KafkaLogOptions extends KafkaProducerOptions {
  /**
   * Lua by the field of the entry that it returns:
   * `{"trace": "return kong.request.get_header(\"traceparent\")"}`. A dot in a name makes nested
   * fields; nil removes the field.
   */
  readonly customFieldsByLua?: Readonly<Record<string, string>> | undefined
}
