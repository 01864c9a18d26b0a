/** Kafka's Produce request, version 7: https://kafka.apache.org/protocol#The_Messages_Produce */

const PRODUCE = 0 // The API's key.
const VERSION = 7
const TIMEOUT_MS = 10_000

/** A request with one batch for each of some partitions, with `acks` of the leader. */
export function produceRequest(
  topic: string,
  partitions: readonly number[],
  batch: Buffer,
): Buffer {
  const client = 'bench'
  const head = Buffer.concat([
    int16(PRODUCE),
    int16(VERSION),
    int32(0), // The correlation id: answers come in order.
    text(client),
    int16(-1), // No transaction.
    int16(1),
    int32(TIMEOUT_MS),
    int32(1),
    text(topic),
    int32(partitions.length),
  ])
  const body = partitions.flatMap((partition) => [int32(partition), int32(batch.length), batch])
  const request = Buffer.concat([head, ...body])
  return Buffer.concat([int32(request.length), request])
}

/** Checks the response. @throws Error if a partition refused its batch. */
export function expectProduced(response: Buffer): void {
  // The topic's name follows the correlation id and the count of topics.
  let at = 8
  at += 2 + response.readInt16BE(at)
  const partitions = response.readInt32BE(at)
  at += 4
  for (let i = 0; i < partitions; i++, at += 30) {
    const code = response.readInt16BE(at + 4)
    if (code !== 0) {
      throw new Error(
        `Cannot produce to partition ${response.readInt32BE(at)}: Kafka answered error code ${code}`,
      )
    }
  }
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  return Buffer.concat([int16(value.length), Buffer.from(value)])
}
