import { KafkaConsumeError } from '../../core/errors.ts'
import type { ResolvedUpstreamOptions } from '../../options/upstream-options.ts'
import { LuaRunner } from '../../records/lua/runner.ts'
import { RecordEncoder } from '../produce/record-encoder.ts'
import type { RequestMessage } from './request-message.ts'

/** Messages that wait for Lua functions at most. Overflow policy: one more request is refused. */
const MAX_PENDING = 1_000

/** Makes values and keys of requests: by Lua functions, then by the schemas of a registry. */
export class MessageEncoder {
  readonly #records: RecordEncoder
  readonly #lua: LuaRunner | undefined

  constructor({ messageByLuaFunctions: functions, schemaRegistry }: ResolvedUpstreamOptions) {
    this.#records = new RecordEncoder(schemaRegistry.confluent)
    if (functions && functions.length > 0) this.#lua = new LuaRunner(functions, 'requests')
  }

  /**
   * @param context What the functions may know of the request, as JSON.
   * @returns undefined for a message that a function drops.
   * @throws KafkaConsumeError INVALID_RECORD when the value does not fit its schema.
   */
  async value(
    message: RequestMessage,
    context: () => string,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!this.#lua) return this.#records.value(message.json)
    if (this.#lua.pending >= MAX_PENDING) {
      throw new KafkaConsumeError(
        'TOO_MANY_RECORDS',
        'Cannot run Lua functions: too many messages wait for them',
        { retryAfter: 1 },
      )
    }
    const result = await this.#lua.run(message.json, context())
    if (result.status === 'dropped') return undefined
    if (result.status !== 'done') {
      throw new KafkaConsumeError('INTERNAL', 'Cannot run Lua functions: one of them failed', {
        detail: result.error,
      })
    }
    const [text, json] = result.results
    if (typeof json === 'string') return this.#records.value(json)
    // A function that returns the body alone means the body itself, not its base64.
    if (text === message.shownBody) return this.#records.value(message.body)
    return this.#records.value(text ?? '')
  }

  /**
   * The key that a query parameter gives; null without one.
   *
   * @throws KafkaConsumeError INVALID_RECORD when the key does not fit its schema.
   */
  keyIn(url: URL, parameter: string | undefined): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#records.keyIn(url, parameter)
  }

  async close(): Promise<void> {
    await this.#lua?.close()
  }
}
