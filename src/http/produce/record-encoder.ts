import type { ResolvedLogOptions } from '../../options/log-options.ts'
import { SubjectEncoder } from '../../registry/subject-encoder.ts'

type ProducerRegistry = ResolvedLogOptions['schemaRegistry']['confluent']

const encoder = new TextEncoder()

/** Encodes values and keys by the schemas of a registry, where there are any; else as their text. */
export class RecordEncoder {
  readonly #value: SubjectEncoder | undefined
  readonly #key: SubjectEncoder | undefined

  constructor(registry: ProducerRegistry) {
    const { valueSchema, keySchema } = registry ?? {}
    if (!registry) return
    if (valueSchema?.subjectName) this.#value = new SubjectEncoder(registry, 'value', valueSchema)
    if (keySchema?.subjectName) this.#key = new SubjectEncoder(registry, 'key', keySchema)
  }

  /**
   * @param value JSON, or a text for a schema of texts.
   * @throws KafkaConsumeError INVALID_RECORD for a value that does not fit its schema; otherwise why
   *   there is no schema.
   */
  async value(value: string | Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#value) return typeof value === 'string' ? encoder.encode(value) : value
    const asText = typeof value === 'string' ? [JSON.stringify(value)] : []
    return this.#value.encode(value, ...asText)
  }

  /**
   * Encodes the key that a query parameter gives: as a text, or where its schema does not take a text as
   * the JSON that it is.
   *
   * @param parameter The option `keyQueryArg`.
   * @returns null without a key.
   * @throws KafkaConsumeError INVALID_RECORD for a key that does not fit its schema; otherwise why its
   *   schema is missing.
   */
  async keyIn(
    { searchParams }: URL,
    parameter: string | undefined,
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    const text = parameter === undefined ? null : searchParams.get(parameter)
    if (text === null) return null
    return this.#key ? this.#key.encode(JSON.stringify(text), text) : encoder.encode(text)
  }
}
