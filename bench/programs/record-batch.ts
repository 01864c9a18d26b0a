/** A batch of records as Kafka stores it: https://kafka.apache.org/documentation/#recordbatch */
import { crc32c } from './crc32c.ts'

const HEADER = 61
/** The checksum covers the bytes from this index on. */
const CRC_AT = 17

/** A batch of records without keys and headers, with one timestamp. */
export function recordBatch(values: readonly Uint8Array[], time: number): Buffer {
  const records = values.map((value, index) => {
    // Attributes, timestamp and offset relative to the batch, no key, the value, no headers.
    const body = [0, ...varint(0), ...varint(index), ...varint(-1), ...varint(value.length)]
    const length = varint(body.length + value.length + 1)
    return Buffer.concat([Uint8Array.from([...length, ...body]), value, Uint8Array.of(0)])
  })
  const header = Buffer.alloc(HEADER)
  const batch = Buffer.concat([header, ...records])
  batch.writeInt32BE(batch.length - 12, 8) // The length without the base offset and the length itself.
  batch.writeInt32BE(-1, 12) // The leader's epoch: any.
  batch.writeInt8(2, 16) // The format.
  batch.writeInt32BE(values.length - 1, 23) // The last offset, relative to the batch's.
  batch.writeBigInt64BE(BigInt(time), 27)
  batch.writeBigInt64BE(BigInt(time), 35)
  batch.fill(0xff, 43, 57) // No producer id, epoch and sequence.
  batch.writeInt32BE(values.length, 57)
  batch.writeUInt32BE(crc32c(batch.subarray(CRC_AT + 4)), CRC_AT)
  return batch
}

/** A small number as a varint in zigzag encoding. */
function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = (value << 1) ^ (value >> 31)
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return [...bytes, rest]
}
