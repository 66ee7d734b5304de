import type { MessageReader } from './message-reader.ts'
import { columnKind, type Tuple } from './messages.ts'

/** TupleData of the documentation: every column as a kind and, where it has one, a view of its bytes. */
export function readTuple(reader: MessageReader): Tuple {
  const count = reader.count16(1, 'the number of columns')
  const kinds = new Uint8Array(count)
  const values = new Array<Buffer | null>(count)
  const { bytes } = reader
  const end = bytes.length
  // The innermost loop of the relay: plain index arithmetic, messages only when something is wrong.
  let offset = reader.offset
  for (let column = 0; column < count; column++) {
    const kind = offset < end ? bytes[offset]! : 0
    kinds[column] = kind
    if (kind === columnKind.null || kind === columnKind.unchanged) {
      values[column] = null
      offset += 1
      continue
    }
    if (kind !== columnKind.text && kind !== columnKind.binary) {
      throw reader.damage(
        offset < end ? `column ${column + 1} is of unknown kind ${kind}` : `column ${column + 1} is missing`,
        offset,
      )
    }
    const start = offset + 5
    if (start > end) throw reader.damage(`the length of column ${column + 1} is cut off`, offset + 1)
    const length = bytes.readInt32BE(offset + 1)
    if (length < 0 || length > end - start) {
      throw reader.damage(`column ${column + 1} claims ${length} bytes, ${end - start} are left`, offset + 1)
    }
    offset = start + length
    values[column] = bytes.subarray(start, offset)
  }
  reader.offset = offset
  return { kinds, values }
}
