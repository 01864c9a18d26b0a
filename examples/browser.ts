/**
 * A page that follows a topic with `EventSource`. A page cannot add headers to the requests of
 * EventSource, so a cookie identifies the client; the page gets the cookie for a password.
 *
 *   KAFKA_BROKERS=localhost:9092 KAFKA_TOPICS=orders PASSWORD=… bun examples/browser.ts
 */
import { Hono } from 'hono'
import { deleteCookie, getSignedCookie, setSignedCookie } from 'hono/cookie'
import { csrf } from 'hono/csrf'
import { timingSafeEqual } from 'hono/utils/buffer'
import { kafkaConsume } from 'hono-kafka-consume'
import page from './browser.html' with { type: 'text' }

const { KAFKA_BROKERS = 'localhost:9092', KAFKA_TOPICS = 'orders', PORT = '3000' } = process.env
const { PASSWORD } = process.env
if (!PASSWORD) throw new Error('PASSWORD is required')
/** The secret is new at each start, so that sessions end with the process. */
const secret = crypto.getRandomValues(new Uint8Array(32)).toHex()

const orders = kafkaConsume({
  bootstrapServers: KAFKA_BROKERS,
  topics: KAFKA_TOPICS,
  mode: 'server-sent-events',
  compression: 'all',
})

const app = new Hono()
app.use(csrf())
app.get('/', (c) => c.html(String(page)))
app.post('/session', async (c) => {
  const { password } = await c.req.parseBody()
  if (!(await timingSafeEqual(PASSWORD, String(password)))) {
    deleteCookie(c, 'session')
    return c.redirect('/?wrong', 303)
  }
  const cookie = { httpOnly: true, sameSite: 'Strict', path: '/' } as const
  await setSignedCookie(c, 'session', 'reader', secret, cookie)
  return c.redirect('/', 303)
})
app.use('/orders', async (c, next) => {
  const name = await getSignedCookie(c, secret, 'session')
  if (!name) return c.json({ message: 'Cannot read: log in first' }, 401)
  c.set('kafkaClient', { name })
  return next()
})
app.all('/orders', orders)

const server = Bun.serve({ port: Number(PORT), idleTimeout: 120, fetch: app.fetch })
console.log(`http://localhost:${server.port}/`)
process.on('SIGTERM', async () => {
  await orders.close()
  process.exit()
})
