/** The smallest server: a Hono app that says hello, on the port after `--port`. */
import { Hono } from 'hono'

const app = new Hono().get('/', (c) => c.text('hello'))
Bun.serve({ port: Number(process.argv.at(-1)), fetch: app.fetch })
