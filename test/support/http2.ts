/** One HTTP/2 connection over TLS, by the client of Node in a process of its own. */
import { join } from 'node:path'
import { npmTool } from './npm-tool.ts'
import type { StreamedRecord } from './sse.ts'
import { until, within } from './wait.ts'

interface NodeEvent {
  readonly id?: number
  readonly connected?: string
  readonly subject?: string
  readonly goaway?: number
  readonly closed?: boolean
  readonly error?: string
  readonly headers?: Record<string, string | number>
  readonly data?: string
  readonly ended?: boolean
  readonly code?: number
}

/** A stream of the connection. */
export class Http2Stream {
  headers: Record<string, string | number> | undefined
  text = ''
  /** Whether the server has ended the stream whole. */
  hasEnded = false
  /** The code of RST_STREAM; 0 where the stream has ended, and undefined while it is open. */
  code: number | undefined
  readonly id: number
  readonly #send: (command: object) => void

  constructor(id: number, send: (command: object) => void) {
    this.id = id
    this.#send = send
  }

  take({ headers, data, ended, code }: NodeEvent): void {
    this.headers ??= headers
    this.text += data ?? ''
    this.hasEnded ||= ended ?? false
    this.code ??= code
  }

  /** Sends RST_STREAM. */
  reset(): void {
    this.#send({ command: 'reset', id: this.id })
  }

  /** Stops the client's process, with all its streams, once the answer of this one begins. */
  stopClient(): void {
    this.#send({ command: 'stopAt', id: this.id })
  }

  /** Reads a stream that was opened paused. */
  resume(): void {
    this.#send({ command: 'resume', id: this.id })
  }

  /** The records of an event stream, without a last frame that is cut off. */
  records(): StreamedRecord[] {
    const whole = this.text.slice(0, this.text.lastIndexOf('\n\n') + 1)
    const lines = whole.split('\n').filter((line) => line.startsWith('data: {"topic"'))
    return lines.map((line) => JSON.parse(line.slice('data: '.length)) as StreamedRecord)
  }

  until(records: number): Promise<void> {
    return until(
      () => this.records().length >= records,
      () => `${records} records on a stream that brought ${this.records().length}`,
    )
  }

  /** The body of an answer, once it is whole. */
  async body(): Promise<string> {
    await until(
      () => this.hasEnded,
      () => `the end of an answer: ${this.text}`,
    )
    return this.text
  }
}

export class Http2Client implements AsyncDisposable {
  /** The common name of the certificate that the server has shown. */
  subject = ''
  /** The code of GOAWAY. */
  goaway: number | undefined
  isClosed = false
  readonly errors: string[] = []
  readonly #streams: Http2Stream[] = []
  readonly #child: Bun.Subprocess<'pipe', 'pipe', 'inherit'>
  #protocol: string | undefined

  private constructor(child: Bun.Subprocess<'pipe', 'pipe', 'inherit'>) {
    this.#child = child
    void this.#read()
  }

  /** @param window Bytes that the server may send before the client has read them, per stream and in all. */
  static async connect(url: string, window = 65_535): Promise<Http2Client> {
    const program = join(import.meta.dirname, 'http2-node.mjs')
    const child = Bun.spawn([await npmTool('node'), program, url, String(window)], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const client = new Http2Client(child)
    await until(
      () => client.#protocol !== undefined,
      () => `an HTTP/2 connection to ${url}: ${client.errors}`,
    )
    if (client.#protocol !== 'h2') throw new Error(`${url} speaks ${client.#protocol}`)
    return client
  }

  open(path: string, headers: Record<string, string> = {}, isPaused = false): Http2Stream {
    const stream = new Http2Stream(this.#streams.length, (command) => this.#send(command))
    this.#streams.push(stream)
    this.#send({ command: 'open', id: stream.id, path, headers, isPaused })
    return stream
  }

  /** Opens and resets streams one after another, until the server closes the connection. */
  churn(path: string): void {
    this.#send({ command: 'churn', path })
  }

  #send(command: object): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`)
    void this.#child.stdin.flush()
  }

  async #read(): Promise<void> {
    let rest = ''
    const decoder = new TextDecoder()
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#take(JSON.parse(line) as NodeEvent)
    }
  }

  #take(event: NodeEvent): void {
    if (event.id !== undefined) {
      this.#streams[event.id]?.take(event)
      return
    }
    this.#protocol ??= event.connected
    this.subject = event.subject ?? this.subject
    this.goaway ??= event.goaway
    this.isClosed ||= event.closed ?? false
    if (event.error !== undefined) this.errors.push(event.error)
  }

  /** Ends the process, and with it the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await within(this.#child.exited, 'the HTTP/2 client to exit')
  }
}
