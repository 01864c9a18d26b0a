import { EventSource } from 'eventsource'
import type { StreamedRecord } from './sse.ts'
import { until } from './wait.ts'

/** The `eventsource` package as a program uses it: it reconnects by itself, with the last id. */
export class ReconnectingClient implements Disposable {
  readonly records: StreamedRecord[] = []
  /** How many times a connection was opened. */
  opened = 0
  readonly #source: EventSource

  constructor(url: string) {
    this.#source = new EventSource(url)
    this.#source.onmessage = (event) => {
      this.records.push(JSON.parse(event.data) as StreamedRecord)
    }
    this.#source.onopen = () => {
      this.opened += 1
    }
  }

  untilOpened(times: number): Promise<void> {
    return until(
      () => this.opened >= times,
      () => `connection ${times} of a client that opened ${this.opened}`,
    )
  }

  until(records: number): Promise<void> {
    return until(
      () => this.records.length >= records,
      () => `${records} records at a client that has ${this.records.length}`,
    )
  }

  [Symbol.dispose](): void {
    this.#source.close()
  }
}
