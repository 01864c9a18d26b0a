import { join } from 'node:path'
import { until, within } from '../support/wait.ts'

const root = join(import.meta.dirname, '..', '..')
const { PATH = '', HOME = '', TEST_WORKERS = '1' } = process.env

/** The threads that serve clients of each gateway, by `TEST_WORKERS`. Default: 1, on any machine. */
const workers = Number(TEST_WORKERS)

/** How long a process may take to listen on a loaded machine. */
const START_LIMIT_MS = 40_000

/** A gateway in a process of its own, as `bun run server` starts it. */
export class GatewayProcess implements AsyncDisposable {
  stdout = ''
  stderr = ''
  readonly #child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  readonly #read: Promise<unknown>

  private constructor(command: readonly string[], environment: Record<string, string>, cwd = root) {
    this.#child = Bun.spawn([...command], {
      cwd,
      // Nothing of the shell that runs the tests may configure the gateway.
      env: { PATH, HOME, WORKERS: String(workers), ...environment },
      // A process group of its own, as a terminal gives to what it starts.
      detached: true,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const { stdout, stderr } = this.#child
    this.#read = Promise.all([
      collect(stdout, (text) => {
        this.stdout += text
      }),
      collect(stderr, (text) => {
        this.stderr += text
      }),
    ])
  }

  /** @param cwd The folder that it runs in. Default: the checkout. */
  static spawn(
    flags: readonly string[],
    environment: Record<string, string> = {},
    cwd?: string,
  ): GatewayProcess {
    const program = join(root, 'src/server.ts')
    return new GatewayProcess([process.execPath, program, ...flags], environment, cwd)
  }

  /** @param command The runtime and the module that it runs, with its flags. */
  static spawnCommand(
    command: readonly string[],
    environment: Record<string, string>,
    cwd: string,
  ) {
    return new GatewayProcess(command, environment, cwd)
  }

  /** By way of the script in package.json. */
  static spawnScript(flags: readonly string[]): GatewayProcess {
    return new GatewayProcess([process.execPath, 'run', 'server', ...flags], {})
  }

  /** On a free port; resolves with the address when the banner says it. */
  static async listening(
    flags: readonly string[] = [],
    environment: Record<string, string> = {},
  ): Promise<{ gateway: GatewayProcess; url: string }> {
    const gateway = GatewayProcess.spawn(
      ['--port', '0', '--host', '127.0.0.1', '--admin-port', '0', ...flags],
      environment,
    )
    return { gateway, url: await gateway.url() }
  }

  get pid(): number {
    return this.#child.pid
  }

  async url(): Promise<string> {
    const address = () => /http:\/\/[\w.]+:\d+/.exec(this.stdout)?.[0]
    try {
      await until(
        () => address() !== undefined || this.#child.exitCode !== null,
        () => `the banner in ${JSON.stringify(this.stdout + this.stderr)}`,
        START_LIMIT_MS,
      )
      const url = address()
      if (url === undefined) throw new Error(`The gateway exited: ${this.stderr}`)
      return url
    } catch (error) {
      await this.kill()
      throw error
    }
  }

  /** The address of HTTPS, as the banner says it. */
  get httpsUrl(): string {
    const address = / and (https:\/\/[\w.]+:\d+)/.exec(this.stdout)?.[1]
    if (address === undefined) throw new Error(`The banner names no HTTPS: ${this.stdout}`)
    return address
  }

  /** The address of the Admin API, as the banner says it. */
  get adminUrl(): string {
    const address = /curl .*?([\w.]+:\d+)\/routes/.exec(this.stdout)?.[1]
    if (address === undefined) throw new Error(`The banner names no Admin API: ${this.stdout}`)
    return `http://${address}`
  }

  signal(name: 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name)
  }

  /** Signals the whole process group, as Ctrl-C does. */
  interrupt(): void {
    process.kill(-this.#child.pid, 'SIGINT')
  }

  /** The exit code, once all output is there. */
  async exited(milliseconds?: number): Promise<number> {
    const code = await within(this.#child.exited, 'the gateway to exit', milliseconds)
    await within(this.#read, 'the rest of its output')
    return code
  }

  /** How often a text is on stderr. */
  logged(text: string): number {
    return this.stderr.split(text).length - 1
  }

  async kill(): Promise<void> {
    try {
      process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      // It has ended already.
    }
    await this.exited()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}

async function collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void) {
  const decoder = new TextDecoder()
  for await (const chunk of stream) add(decoder.decode(chunk, { stream: true }))
}
