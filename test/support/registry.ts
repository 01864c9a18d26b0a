import { serve } from 'bun'
import { freePort } from './port.ts'

/** A stand in front of a registry, which lets requests through or does not. */
export class RegistryDoor {
  /** Answers instead of the registry, where it returns something. */
  guard: (request: Request) => Response | undefined | Promise<Response | undefined> = () =>
    undefined
  readonly #registry: string
  readonly #port: number
  #server: ReturnType<typeof serve> | undefined

  private constructor(registry: string, port: number) {
    this.#registry = registry
    this.#port = port
    this.open()
  }

  static async before(registry: string): Promise<RegistryDoor> {
    return new RegistryDoor(registry, await freePort())
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/registry`
  }

  /** Answers again, on the same port. */
  open(): void {
    this.#server = serve({
      port: this.#port,
      hostname: '127.0.0.1',
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url)
        const guarded = await this.guard(request)
        if (guarded) return guarded
        const path = pathname.replace('/registry', '')
        const response = await fetch(`${this.#registry}${path}${search}`)
        return new Response(await response.text(), {
          status: response.status,
          headers: { 'content-type': 'application/json' },
        })
      },
    })
  }

  /** Nobody answers any more: connections are refused. */
  async shut(): Promise<void> {
    await this.#server?.stop(true)
  }
}

/** Registers a schema and returns its id. */
export async function register(
  registry: string,
  subject: string,
  schema: string,
  schemaType: 'AVRO' | 'JSON' | 'PROTOBUF' = 'AVRO',
  references: ReadonlyArray<{ name: string; subject: string; version: number }> = [],
): Promise<number> {
  const response = await fetch(`${registry}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema, schemaType, references }),
  })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`The registry refused ${subject}: ${text}`)
  return (JSON.parse(text) as { id: number }).id
}

/** A payload as Confluent's serializers frame it. */
export function framed(id: number, ...parts: ReadonlyArray<Uint8Array | string>): Uint8Array {
  const header = Buffer.alloc(5)
  header.writeUInt32BE(id, 1)
  return Buffer.concat([header, ...parts.map((part) => Buffer.from(part as string))])
}
