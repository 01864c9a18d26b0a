import { join } from 'node:path'
import { Browser } from '../../support/chromium.ts'
import { FieldClient } from './field-client.ts'

const OWN = join(import.meta.dirname, '..', 'clients', 'own', 'page.ts')
const OWN_PAGE = '<!doctype html><title>field</title><script type=module src=/own.js></script>'
const PAGE = `<!doctype html><title>field</title><script>
const source = new EventSource(decodeURIComponent(location.hash.slice(1)))
source.onmessage = ({ data, lastEventId }) => {
  const { partition, offset } = JSON.parse(data)
  show(JSON.stringify({ partition, offset, id: lastEventId }))
}
source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) giveUp()
}
</script>`

const HTML = { 'Content-Type': 'text/html' }

/** Serves the pages that read, at an origin of their own. */
export class PageOrigin implements Disposable {
  readonly #server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    routes: {
      '/': () => new Response(PAGE, { headers: HTML }),
      '/own': () => new Response(OWN_PAGE, { headers: HTML }),
      '/own.js': async () => {
        const { outputs } = await Bun.build({ entrypoints: [OWN], target: 'browser' })
        return new Response(outputs[0], { headers: { 'Content-Type': 'text/javascript' } })
      },
    },
  })

  get origin(): string {
    return this.#server.url.origin
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true)
  }
}

/** A page of another origin in Chromium: its own `EventSource`, or the package's `stream`. */
export class PageClient extends FieldClient {
  hasGivenUp = false
  readonly #browser: Browser

  private constructor(browser: Browser, partitions: number) {
    super(partitions)
    this.#browser = browser
  }

  /** @param address The page's address. */
  static async open(address: string, url: string, partitions: number): Promise<PageClient> {
    const browser = await Browser.start()
    const client = new PageClient(browser, partitions)
    await browser.page.exposeFunction('show', (line: string) => client.take(line))
    await browser.page.exposeFunction('giveUp', () => {
      client.hasGivenUp = true
      for (const error of browser.errors) client.complain(error)
    })
    await browser.page.goto(`${address}#${encodeURIComponent(url)}`)
    return client
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#browser[Symbol.asyncDispose]()
  }
}
