/**
 * A producer that leaves the processors to the measured programs: it repeats batches that it has made
 * beforehand. A producer of the Kafka client would cost as much as a consumer.
 */
import { expectProduced, produceRequest } from './produce-request.ts'
import { recordBatch } from './record-batch.ts'
import { serveCommands } from './serve.ts'

export type Producer = typeof commands

/** Default bytes of one batch, more or less, like those of a busy producer. */
const BATCH_BYTES = 100_000

interface Leader {
  readonly host: string
  readonly port: number
  readonly partitions: readonly number[]
}

interface Target {
  readonly topic: string
  readonly leaders: readonly Leader[]
  readonly valueBytes: number
}

const commands = {
  /** Sends records, evenly over the partitions, as fast as the brokers accept them. */
  async produce({
    topic,
    leaders,
    valueBytes,
    records,
    perBatch = Math.round(BATCH_BYTES / valueBytes),
  }: Target & { records: number; perBatch?: number | undefined }) {
    const partitions = leaders.flatMap((leader) => leader.partitions).length
    const rounds = records / partitions / perBatch
    if (!Number.isInteger(rounds)) {
      throw new Error(
        `Cannot produce ${records} records: multiples of ${partitions * perBatch} are possible`,
      )
    }
    const values = Array.from({ length: perBatch }, (_, index) => makeValue(index, valueBytes))
    const batch = recordBatch(values, Date.now())
    const begun = performance.now()
    await Promise.all(
      leaders.map(({ host, port, partitions }) =>
        send(host, port, produceRequest(topic, partitions, batch), rounds),
      ),
    )
    return { seconds: (performance.now() - begun) / 1000 }
  },
}

serveCommands(commands)

/** JSON, as most values are: its quotes must be escaped where the value becomes a JSON string. */
function makeValue(index: number, bytes: number): Uint8Array {
  const head = `{"order":${10_000 + index},"customer":"c-${(index * 7919) % 1000}","state":"paid","note":"`
  return Buffer.from(`${head.padEnd(bytes - 2, 'lorem ipsum dolor ')}"}`)
}

/** A connection with one request at a time, which makes the producer as fast as the broker. */
async function send(host: string, port: number, request: Buffer, times: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let left = times
  let unsent: Buffer = request
  let received: Buffer = Buffer.alloc(0)
  const flush = (socket: Bun.Socket) => {
    unsent = unsent.subarray(socket.write(unsent))
  }
  const socket = await Bun.connect({
    hostname: host,
    port,
    socket: {
      open: flush,
      drain: flush,
      data(socket, chunk) {
        received = Buffer.concat([received, chunk])
        if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
        try {
          expectProduced(received.subarray(4))
        } catch (error) {
          reject(error)
          return
        }
        received = Buffer.alloc(0)
        left--
        if (left === 0) resolve()
        else {
          unsent = request
          flush(socket)
        }
      },
      close: () => reject(new Error(`Cannot produce: ${host}:${port} closed the connection`)),
      error: (_, error) => reject(error),
    },
  })
  try {
    await promise
  } finally {
    socket.end()
  }
}
