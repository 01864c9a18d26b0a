/** kcat at the end of a topic, and the delay with which it prints records. */
import { Delays } from './delays.ts'
import { serveCommands } from './serve.ts'

export type Kcat = typeof commands

/** Milliseconds for kcat to find the end of all partitions. */
const START_MS = 3_000

const delays = new Delays()
let child: Bun.Subprocess<'ignore', 'pipe', 'ignore'> | undefined

const commands = {
  /** Resolves with false if kcat is not installed. */
  async open({ brokers, topic }: { brokers: string; topic: string }) {
    if (!Bun.which('kcat')) return false
    const argv = ['kcat', '-C', '-u', '-q', '-b', brokers, '-t', topic, '-o', 'end', '-f', '%s\n']
    child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' })
    void read(child.stdout)
    await Bun.sleep(START_MS)
    return true
  },

  take: () => delays.take(),

  async close() {
    child?.kill()
    await child?.exited
    child = undefined
  },
}

serveCommands(commands)

async function read(stream: ReadableStream<Uint8Array>): Promise<void> {
  let rest = ''
  for await (const bytes of stream) {
    const lines = (rest + Buffer.from(bytes).toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) delays.push(Number(line.slice(0, 16)))
  }
}
