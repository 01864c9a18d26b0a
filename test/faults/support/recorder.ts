import { EventSource } from 'eventsource'
import type { Gap } from '../../../src/port/kafka.ts'
import type { StreamedRecord } from '../../support/sse.ts'
import { until } from '../../support/wait.ts'

/** A plain `EventSource` that keeps all that came, in its order. */
export class Recorder implements Disposable {
  readonly records: StreamedRecord[] = []
  /** The gaps that were announced, each with how many records had come before. */
  readonly gaps: Array<Gap & { readonly after: number }> = []
  /** The codes of errors that came. */
  readonly errors: string[] = []
  opened = 0
  lastId = ''
  readonly #source: EventSource

  constructor(url: string, lastId?: string) {
    this.#source = new EventSource(url, {
      fetch: (input, init) =>
        fetch(input, {
          ...init,
          headers: {
            ...init.headers,
            ...(lastId !== undefined && this.lastId === '' && { 'Last-Event-ID': lastId }),
          },
        }),
    })
    this.#source.onopen = () => {
      this.opened++
    }
    this.#source.onmessage = ({ data, lastEventId }) => {
      this.lastId = lastEventId
      this.records.push(JSON.parse(data) as StreamedRecord)
    }
    this.#source.addEventListener('gap', ({ data, lastEventId }) => {
      this.lastId = lastEventId
      this.gaps.push({ ...(JSON.parse(data) as Gap), after: this.records.length })
    })
    this.#source.addEventListener('error', (event) => {
      const { data } = event as unknown as { data?: string }
      if (data !== undefined) this.errors.push((JSON.parse(data) as { code: string }).code)
    })
  }

  /** Whether it has given up, as after a status that is not 200. */
  get isClosed(): boolean {
    return this.#source.readyState === EventSource.CLOSED
  }

  untilOpened(times = 1): Promise<void> {
    return until(
      () => this.opened >= times,
      () => `connection ${times}; there were ${this.opened}`,
      30_000,
    )
  }

  until(records: number): Promise<void> {
    return until(
      () => this.records.length >= records,
      () => `${records} records; ${this.records.length} came`,
      60_000,
    )
  }

  /** The offsets of a partition in the order that they came, of all records or of some last ones. */
  offsets(partition: number, from = 0): number[] {
    return this.records
      .slice(from)
      .filter((record) => record.partition === partition)
      .map(({ offset }) => offset)
  }

  [Symbol.dispose](): void {
    this.#source.close()
  }
}
