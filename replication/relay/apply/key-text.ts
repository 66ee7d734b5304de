import { columnKind, type Tuple } from '../../pgoutput/messages.ts'
import type { TableShape } from './table-shape.ts'

/** Decoders of the binary format, by type oid, for the types that keys are made of. */
const decoders: Readonly<Record<number, (value: Buffer) => string>> = {
  16: (value) => (value[0] === 0 ? 'false' : 'true'),
  20: (value) => value.readBigInt64BE().toString(),
  21: (value) => value.readInt16BE().toString(),
  23: (value) => value.readInt32BE().toString(),
  25: (value) => value.toString('utf8'),
  1043: (value) => value.toString('utf8'),
  2950: (value) => value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
}

/** Types whose values {@link keyOf} can print as Postgres does. */
export const keyTypes: readonly number[] = Object.keys(decoders).map(Number)

/** The primary key of a row, each column as Postgres prints it; bytes in hexadecimal where the type is another. */
export function keyOf(table: TableShape, row: Tuple): string[] {
  return table.key.map((column) => {
    const value = row.values[column] ?? Buffer.alloc(0)
    if (row.kinds[column] === columnKind.text) return value.toString('utf8')
    const decode = decoders[table.relation.columns[column]?.typeOid ?? 0]
    try {
      return decode === undefined ? `\\x${value.toString('hex')}` : decode(value)
    } catch {
      // Too short for its type: the server will say so as well.
      return `\\x${value.toString('hex')}`
    }
  })
}

/** `id 5`, `model_id 1, segment_id 7` */
export function describeKey(table: TableShape, key: readonly string[]): string {
  return table.keyNames.map((name, index) => `${name} ${key[index]}`).join(', ')
}

/** An array of texts as Postgres reads it. */
export function textArray(values: readonly string[]): string {
  const quoted = values.map((value) => `"${value.replace(/["\\]/g, (character) => `\\${character}`)}"`)
  return `{${quoted.join(',')}}`
}
