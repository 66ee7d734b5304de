import { open } from 'node:fs/promises'
import { halves as halfValues } from '../../core/vector.ts'
import type { VectorTable } from './vector-engine.ts'

const headerBytes = 45
const rowsAtOnce = 2048

/**
 * The header of a serialized FAISS IndexFlatIP, little-endian, as faiss/impl/index_write.cpp writes it: fourcc
 * `IxFI`, int32 d, int64 ntotal, two int64 that nobody reads, byte is_trained, int32 metric (0, inner
 * product), uint64 count of the floats that follow.
 */
export function flatIndexHeader(count: number, dimensions: number): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.write('IxFI', 0, 'latin1')
  header.writeInt32LE(dimensions, 4)
  header.writeBigInt64LE(BigInt(count), 8)
  header.writeBigInt64LE(2n ** 20n, 16)
  header.writeBigInt64LE(2n ** 20n, 24)
  header.writeUInt8(1, 32)
  header.writeInt32LE(0, 33)
  header.writeBigUInt64LE(BigInt(count * dimensions), 37)
  return header
}

/** Writes the table as a FAISS index, each vector scaled to length 1, so that the inner product is the cosine. */
export async function writeFlatIndex(path: string, table: VectorTable): Promise<void> {
  const { count, dimensions, inverseLengths } = table
  const values = halfValues()
  const floats = new Float32Array(Math.min(count, rowsAtOnce) * dimensions)
  const file = await open(path, 'wx', 0o600)
  try {
    await file.write(flatIndexHeader(count, dimensions))
    for (let first = 0; first < count; first += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, count - first)
      let to = 0
      for (let row = first; row < first + rows; row++) {
        const scale = inverseLengths[row]!
        const end = (row + 1) * dimensions
        for (let at = row * dimensions; at < end; at++) floats[to++] = values[table.halves[at]!]! * scale
      }
      await file.writev([new Uint8Array(floats.buffer, 0, to * 4)])
    }
  } finally {
    await file.close()
  }
}
