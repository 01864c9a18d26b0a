import { within } from '../../support/wait.ts'

/** The records that a client got, and those that it did not get. */
export interface Tally {
  readonly received: number
  readonly lost: number
  readonly doubled: number
  /** Records that came after a later one of their partition. */
  readonly disordered: number
}

/** A client of another author, as the records show it that came to it. */
export abstract class FieldClient implements AsyncDisposable {
  /** The end of what it said about errors. */
  errors = ''
  /** How often each offset came, by partition. */
  readonly #seen: ReadonlyArray<Map<number, number>>
  #disordered = 0

  constructor(partitions: number) {
    this.#seen = Array.from({ length: partitions }, () => new Map())
  }

  /** Whether it ended by itself, which none of them should. */
  abstract get hasGivenUp(): boolean

  abstract [Symbol.asyncDispose](): Promise<void>

  /** Different records that came. */
  get received(): number {
    return this.#seen.reduce((sum, offsets) => sum + offsets.size, 0)
  }

  /** Whether it has the last record of each partition. */
  isAtEnd(ends: readonly number[]): boolean {
    return ends.every((end, partition) => end === 0 || this.#seen[partition]?.has(end - 1))
  }

  /** @param ends The offset after the last record, by partition; all partitions begin at 0. */
  tally(ends: readonly number[]): Tally {
    const total = ends.reduce((sum, end) => sum + end, 0)
    const counts = this.#seen.flatMap((offsets) => [...offsets.values()])
    const doubled = counts.reduce((sum, count) => sum + count - 1, 0)
    const { received } = this
    return { received, lost: total - received, doubled, disordered: this.#disordered }
  }

  /** @param line JSON: `{"partition","offset","id"}`. */
  protected take(line: string): void {
    const { partition, offset } = JSON.parse(line) as { partition: number; offset: number }
    const offsets = this.#seen[partition]
    if (!offsets) throw new Error(`Cannot count a record of partition ${partition}`)
    if (!offsets.has(offset) && offsets.has(offset + 1)) this.#disordered++
    offsets.set(offset, (offsets.get(offset) ?? 0) + 1)
  }

  protected complain(line: string): void {
    this.errors = `${this.errors}${line}\n`.slice(-4_000)
  }
}

/** A program of `clients/`, which prints a line for each record. */
export class ProgramClient extends FieldClient {
  readonly #child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  readonly #read: Promise<unknown>

  constructor(argv: readonly string[], partitions: number) {
    super(partitions)
    this.#child = Bun.spawn([...argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
    this.#read = Promise.all([
      eachLine(this.#child.stdout, (line) => this.take(line)),
      eachLine(this.#child.stderr, (line) => this.complain(line)),
    ])
  }

  get hasGivenUp(): boolean {
    return this.#child.exitCode !== null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await within(this.#read, 'the rest of a client’s output')
  }
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void) {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const found = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n')
    rest = found.pop() ?? ''
    for (const line of found) take(line)
  }
}
