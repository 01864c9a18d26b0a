import { until } from './wait.ts'

/** An app of Bun's `export default app` in a process of its own, on a free port. */
export class AppProcess implements AsyncDisposable {
  stdout = ''
  stderr = ''
  readonly #child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>

  private constructor(command: readonly string[], cwd: string) {
    const env = { ...process.env, PORT: '0' }
    this.#child = Bun.spawn([...command], {
      cwd,
      env,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    void collect(this.#child.stdout, (text) => {
      this.stdout += text
    })
    void collect(this.#child.stderr, (text) => {
      this.stderr += text
    })
  }

  /** Resolves when it listens. */
  static async start(command: readonly string[], cwd: string): Promise<AppProcess> {
    const app = new AppProcess(command, cwd)
    const listens = () => app.stdout.includes('http://localhost:')
    await until(listens, () => `the app to listen: ${app.stdout}${app.stderr}`, 40_000)
    return app
  }

  get url(): string {
    return (/http:\/\/localhost:\d+/.exec(this.stdout) as RegExpExecArray)[0]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#child.exited
  }
}

async function collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void) {
  const decoder = new TextDecoder()
  for await (const chunk of stream) add(decoder.decode(chunk, { stream: true }))
}
