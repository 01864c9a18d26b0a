/** Reverse proxies of other authors, with the settings that Debian's packages bring. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../../../tools/kafka/ports.ts'
import { canInstall, installPackages } from '../../../tools/kafka/system.ts'
import { until, within } from '../../support/wait.ts'

/** From and to ports of this machine; files go to the folder. */
interface Places {
  readonly port: number
  readonly target: number
  readonly folder: string
  /** Whether answers are cached as their headers allow. */
  readonly isCaching: boolean
}

interface Kind {
  readonly config: (places: Places) => string
  readonly argv: (program: string, config: string) => string[]
}

/** Requests for one page at one time are one request, and a page is validated when it is old. */
const NGINX_CACHING = `proxy_cache pages;
      proxy_cache_lock on;
      proxy_cache_revalidate on;
      add_header X-Cache $upstream_cache_status;`

/** Beside what each needs to lead a request on at all, and to run as anybody in a folder of its own. */
const KINDS = {
  nginx: {
    config: ({ port, target, folder, isCaching }) => `
daemon off;
worker_processes auto;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 768; }
http {
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
  default_type application/octet-stream;
  access_log ${folder}/access.log;
  gzip on;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n  ')}
  ${isCaching ? `proxy_cache_path ${folder}/cache keys_zone=pages:1m;` : ''}
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${target};
      ${isCaching ? NGINX_CACHING : ''}
    }
  }
}
`,
    argv: (program, config) => [program, '-c', config],
  },
  haproxy: {
    config: ({ port, target }) => `
defaults
  mode http
  option dontlognull
  timeout connect 5000
  timeout client  50000
  timeout server  50000
frontend field
  bind 127.0.0.1:${port}
  default_backend gateway
backend gateway
  server gateway 127.0.0.1:${target}
`,
    argv: (program, config) => [program, '-db', '-f', config],
  },
  caddy: {
    config: ({ port, target }) => `
{
  admin off
}
http://127.0.0.1:${port} {
  reverse_proxy 127.0.0.1:${target}
}
`,
    argv: (program, config) => [program, 'run', '--config', config, '--adapter', 'caddyfile'],
  },
} satisfies Record<string, Kind>

/** The name of a reverse proxy: of its program, and of Debian's package. */
export type ProxyKind = keyof typeof KINDS

/** A reverse proxy in front of a port of this machine. */
export class ReverseProxy implements AsyncDisposable {
  readonly port: number
  readonly #folder: string
  readonly #child: Bun.Subprocess

  private constructor(port: number, folder: string, child: Bun.Subprocess) {
    this.port = port
    this.#folder = folder
    this.#child = child
  }

  /** @param isCaching Whether answers are cached as their headers allow; nginx only. */
  static async start(name: ProxyKind, target: number, isCaching = false): Promise<ReverseProxy> {
    const program = await provide(name)
    const [port] = (await freePorts(1)) as [number]
    const folder = mkdtempSync(join(tmpdir(), `${name}-`))
    // Worker processes run as another user where we are root.
    chmodSync(folder, 0o755)
    mkdirSync(join(folder, 'home'))
    const kind: Kind = KINDS[name]
    const config = join(folder, 'config')
    writeFileSync(config, kind.config({ port, target, folder, isCaching }))
    const log = join(folder, 'output.log')
    const child = Bun.spawn(kind.argv(program, config), {
      env: { ...process.env, HOME: join(folder, 'home'), XDG_DATA_HOME: join(folder, 'home') },
      stdin: 'ignore',
      stdout: Bun.file(log),
      stderr: Bun.file(log),
    })
    const proxy = new ReverseProxy(port, folder, child)
    try {
      await until(
        () => child.exitCode !== null || accepts(port),
        () => `${name} to listen`,
      )
      if (child.exitCode !== null) {
        throw new Error(`Cannot start ${name}: ${await Bun.file(log).text()}`)
      }
      return proxy
    } catch (error) {
      await proxy[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM')
    await within(this.#child.exited, 'a reverse proxy to exit').catch(() => {
      this.#child.kill('SIGKILL')
    })
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

/** The path of a program of Debian's; it is installed where that is possible without asking. */
async function provide(name: ProxyKind): Promise<string> {
  const find = () => Bun.which(name, { PATH: `${process.env['PATH']}:/usr/sbin` })
  const found = find()
  if (found) return found
  if (!canInstall())
    throw new Error(`Cannot read through ${name}: this machine lacks it. Install it`)
  await installPackages(name, [name], join(tmpdir(), `${name}-setup.log`))
  const installed = find()
  if (installed) return installed
  throw new Error(`Cannot read through ${name}: apt-get ran, but it is still missing`)
}
