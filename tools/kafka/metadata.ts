/**
 * Asks a broker which brokers its cluster has, by a Metadata request of Kafka's protocol, so that
 * `bun run kafka` works without the compiled client.
 */

const METADATA = 3 // The API key.
const VERSION = 1 // The oldest version that takes an empty list of topics; all its fields are plain.

/** The ids of the brokers that are up, according to the broker on this port. */
export async function askForBrokers(port: number, milliseconds: number): Promise<number[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const timer = setTimeout(() => reject(new Error('no answer in time')), milliseconds)
  let received = Buffer.alloc(0)
  const connecting = Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      open(socket) {
        socket.write(request())
      },
      data(_, chunk) {
        received = Buffer.concat([received, chunk])
        if (received.length < 4) return
        const size = received.readInt32BE(0)
        if (received.length >= 4 + size) resolve(received.subarray(4, 4 + size))
      },
      close: () => reject(new Error('connection closed')),
      error: (_, error) => reject(error),
      connectError: (_, error) => reject(error),
    },
  })
  connecting.catch(reject)
  try {
    return brokerIds(await promise)
  } finally {
    clearTimeout(timer)
    connecting.then((socket) => socket.end()).catch(() => {})
  }
}

function request(): Buffer {
  const client = 'hono-kafka-consume'
  const body = Buffer.alloc(10 + client.length + 4)
  body.writeInt16BE(METADATA, 0)
  body.writeInt16BE(VERSION, 2)
  body.writeInt32BE(1, 4) // The correlation id.
  body.writeInt16BE(client.length, 8)
  body.write(client, 10)
  body.writeInt32BE(0, 10 + client.length) // No topics.
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

function brokerIds(response: Buffer): number[] {
  let at = 4 // After the correlation id.
  const count = response.readInt32BE(at)
  at += 4
  const ids: number[] = []
  for (let i = 0; i < count; i++) {
    ids.push(response.readInt32BE(at))
    at += 4
    at += 2 + response.readInt16BE(at) // host
    at += 4 // port
    at += 2 + Math.max(0, response.readInt16BE(at)) // rack, or -1
  }
  return ids
}
