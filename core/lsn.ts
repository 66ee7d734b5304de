import { HomeportError } from './errors.ts'

/** A write-ahead log position as Postgres prints it (`16/B374D848`) as a number of bytes. @throws HomeportError LSN_INVALID. */
export function parseLsn(text: string): bigint {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text)
  if (match === null) throw new HomeportError('LSN_INVALID', `${JSON.stringify(text)} is no log position`)
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

/** The way Postgres prints a position: two hexadecimal halves, no leading zeros. */
export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase()
}

/** Bytes of log from one position to a later one; 0 when `to` lies before `from`. */
export function lsnBytesBetween(from: string, to: string): number {
  const bytes = parseLsn(to) - parseLsn(from)
  return bytes < 0n ? 0 : Number(bytes)
}
