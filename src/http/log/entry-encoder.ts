/** Encodes the entries of requests as records. */
import type { Context } from 'hono'
import type { ResolvedLogOptions } from '../../options/log-options.ts'
import type { ProducerRecord } from '../../port/producer.ts'
import { RecordEncoder } from '../produce/record-encoder.ts'
import type { ForwardedRequest } from '../request/forwarded-request.ts'
import { luaContext } from '../request/lua-context.ts'
import { CustomFields } from './custom-fields.ts'
import { logEntry, type RequestEnd } from './log-entry.ts'

export class EntryEncoder {
  readonly #options: ResolvedLogOptions
  readonly #records: RecordEncoder
  readonly #fields: CustomFields | undefined

  constructor(options: ResolvedLogOptions) {
    this.#options = options
    this.#records = new RecordEncoder(options.schemaRegistry.confluent)
    const { customFieldsByLua: fields } = options
    if (fields && Object.keys(fields).length > 0) this.#fields = new CustomFields(fields)
  }

  /**
   * The entry of a request as a record.
   *
   * @param request Without credentials.
   * @throws KafkaConsumeError when Lua cannot be run, or an entry does not fit its schema.
   */
  async encode(c: Context, request: ForwardedRequest, end: RequestEnd): Promise<ProducerRecord> {
    const entry = logEntry(c, request, end)
    await this.#fields?.apply(entry, luaContext(c, request, end.response))
    const value = await this.#records.value(JSON.stringify(entry))
    const { topic, keyQueryArg } = this.#options
    const key = await this.#records.keyIn(request.url, keyQueryArg)
    return { topic, key, value }
  }

  async close(): Promise<void> {
    await this.#fields?.close()
  }
}
