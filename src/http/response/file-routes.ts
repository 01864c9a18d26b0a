import { Hono } from 'hono'
import { loadOnce, onUse } from '../../core/on-use.ts'
import { readPackageFile } from './package-file.ts'

/** Files by the names that a page requests, each with the URLs where it may be. */
export type Files = Readonly<Record<string, ReadonlyArray<() => string | URL>>>

const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/**
 * Serves files. Each is read once.
 *
 * @param loadFiles Called with the first request.
 */
export function fileRoutes(loadFiles: () => Promise<Files>): Hono {
  const contents = new Map<string, () => Promise<Uint8Array<ArrayBuffer>>>()
  const app = new Hono()
  app.use(onUse(async () => (await import('hono/etag')).etag()))
  app.get('/:name{.+}', async (c) => {
    const name = c.req.param('name')
    const files = await loadFiles()
    const urls = Object.hasOwn(files, name) ? files[name] : undefined
    if (!urls) return c.notFound()
    const content = contents.get(name) ?? loadOnce(() => readFirst(urls))
    contents.set(name, content)
    // Browsers revalidate each time, so that a page never has files of another version.
    c.header('Cache-Control', 'no-cache')
    c.header('Content-Type', TYPES[name.slice(name.lastIndexOf('.') + 1)])
    return c.body(await content())
  })
  return app
}

async function readFirst([url, ...others]: Files[string]): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readPackageFile(url?.() ?? '')
  } catch (error) {
    if (others.length === 0) throw error
    return readFirst(others)
  }
}
