/** The type of a route of `kafkaConsume`, by its options: what `hc` of Hono knows of it. */
import type { Handler } from 'hono'
import type { JSONParsed } from 'hono/utils/types'
import type { KafkaTopics } from '../options/option-types.ts'
import type { RecordOf } from '../options/topic-records.ts'
import type { AnyRecord, EventStreamText, FailedRecord } from '../records/consumed-record.ts'
import type {
  QueryInput,
  ReadQuery,
  SocketInput,
  SocketQuery,
  StreamQuery,
} from './request/query-types.ts'
import type {
  Answer,
  ErrorAnswer,
  ErrorStatus,
  JsonRecord,
  KongAnswer,
  RecordsAnswer,
  ValueOf,
} from './response/answer-types.ts'

/**
 * The handler of a route: its parameters, its answers and its errors.
 *
 * `Formatted` is what the route's `format` returns, `never` without one.
 */
export type ConsumeHandler<Topics extends KafkaTopics, Mode, Form, Formatted> = Handler<
  // biome-ignore lint/suspicious/noExplicitAny: a handler fits any environment and any path.
  any,
  // biome-ignore lint/suspicious/noExplicitAny: a handler fits any environment and any path.
  any,
  RequestOf<Mode, RecordOf<Topics>['topic']>,
  Promise<
    AnswerOf<Mode, JsonRecord<RecordOf<Topics>>, Form, Formatted> | Answer<ErrorAnswer, ErrorStatus>
  >
>

type AnswerOf<Mode, Received extends AnyRecord, Form, Formatted> =
  | (Mode extends 'http-get' | 'auto' ? Answer<BodyOf<Received, Form, Formatted>> : never)
  | (Mode extends 'server-sent-events' | 'auto'
      ? Answer<EventStreamText<Received>, 200, 'text'>
      : never)

type BodyOf<Received extends AnyRecord, Form, Formatted> = [Formatted] extends [never]
  ? BodyOfForm<Received, Form>
  : FormattedOf<Received, Formatted>[]

/** An element of a body with `format`: the format's result, or whole a record on which it failed. */
type FormattedOf<Received extends AnyRecord, Formatted> =
  | JSONParsed<Formatted>
  | FailedRecord<Received['topic']>

type BodyOfForm<Received extends AnyRecord, Form> = Form extends 'kong'
  ? KongAnswer<Received>
  : Form extends 'records'
    ? RecordsAnswer<Received>
    : Form extends 'value'
      ? ValueOf<Received>[]
      : Record<string, unknown>[]

type RequestOf<Mode, Topic extends string> = Mode extends 'websocket'
  ? SocketInput<SocketQuery<Topic>>
  : Mode extends 'server-sent-events'
    ? QueryInput<StreamQuery<Topic>>
    : QueryInput<ReadQuery<Topic>>
