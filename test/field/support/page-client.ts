import { Browser } from '../../support/chromium.ts'
import { FieldClient } from './field-client.ts'

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

/** Serves the page that reads, at an origin of its own. */
export class PageOrigin implements Disposable {
  readonly #server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: () => new Response(PAGE, { headers: { 'content-type': 'text/html' } }),
  })

  get origin(): string {
    return this.#server.url.origin
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true)
  }
}

/** Chromium's own `EventSource`, on a page of another origin. */
export class PageClient extends FieldClient {
  hasGivenUp = false
  readonly #browser: Browser

  private constructor(browser: Browser, partitions: number) {
    super(partitions)
    this.#browser = browser
  }

  /** @param origin Of the page. */
  static async open(origin: string, url: string, partitions: number): Promise<PageClient> {
    const browser = await Browser.start()
    const client = new PageClient(browser, partitions)
    await browser.page.exposeFunction('show', (line: string) => client.take(line))
    await browser.page.exposeFunction('giveUp', () => {
      client.hasGivenUp = true
      for (const error of browser.errors) client.complain(error)
    })
    await browser.page.goto(`${origin}/#${encodeURIComponent(url)}`)
    return client
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#browser[Symbol.asyncDispose]()
  }
}
