import { HomeportError } from './errors.ts'

/** The largest finite half-precision number. */
export const halfMax = 65_504

const single = new Float32Array(1)
const singleBits = new Uint32Array(single.buffer)

/** The half-precision bits nearest to a number (ties to even); beyond the range, infinity. */
export function toHalf(value: number): number {
  single[0] = value
  const bits = singleBits[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  // 65,520 is half-way between the largest half and what would be the next: it and more are infinite.
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // Subnormal halves are multiples of 2^-24, and adding 0.5 to a single leaves exactly that precision.
    single[0] = Math.abs(single[0]) + 0.5
    return sign | (singleBits[0]! - 0x3f000000)
  }
  const odd = (magnitude >>> 13) & 1
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13)
}

let halfValues: Float32Array | undefined

/** The numbers of all 65,536 half-precision bit patterns: `halves()[bits]`. */
export function halves(): Float32Array {
  halfValues ??= Float32Array.from({ length: 0x10000 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1
    const exponent = (bits >>> 10) & 0x1f
    const fraction = bits & 0x3ff
    if (exponent === 0) return sign * fraction * 2 ** -24
    if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
    return sign * (1024 + fraction) * 2 ** (exponent - 25)
  })
  return halfValues
}

/** The half-precision number nearest to each, as bits. */
export function toHalves(vector: ArrayLike<number>): Uint16Array {
  const bits = new Uint16Array(vector.length)
  for (let at = 0; at < bits.length; at++) bits[at] = toHalf(vector[at]!)
  return bits
}

/** The numbers behind half-precision bits. */
export function fromHalves(bits: ArrayLike<number>): Float32Array {
  const table = halves()
  const vector = new Float32Array(bits.length)
  for (let at = 0; at < vector.length; at++) vector[at] = table[bits[at]!]!
  return vector
}

/** Sum of products. Both are of the same length. */
export function dot(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let sum = 0
  for (let at = 0; at < left.length; at++) sum += left[at]! * right[at]!
  return sum
}

/** Scales a vector to length 1, in place; a vector of zeros stays what it is. */
export function normalise(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector))
  if (length > 0) for (let at = 0; at < vector.length; at++) vector[at]! /= length
  return vector
}

/** @throws HomeportError VECTOR_INVALID when it is of another length or holds what a halfvec cannot. */
export function checkVector(vector: ArrayLike<number>, dimensions: number): void {
  if (vector.length !== dimensions) {
    throw invalid(`it has ${vector.length} dimensions instead of ${dimensions}`)
  }
  for (let at = 0; at < vector.length; at++) {
    const value = vector[at]!
    // 65,520 would round to infinity; NaN fails every comparison.
    if (!(Math.abs(value) < halfMax + 16)) throw invalid(`dimension ${at + 1} is not a finite half`)
  }
}

const halfTexts: (string | undefined)[] = []

function halfText(bits: number): string {
  // Six digits are more than a half holds, so Postgres, which reads through float4, gets these very bits.
  return (halfTexts[bits] ??= String(Number(halves()[bits]!.toPrecision(6))))
}

/**
 * A vector as pgvector's text, `[0.25,-1]`, already rounded to halves.
 *
 * @throws HomeportError VECTOR_INVALID
 */
export function toHalfvecText(vector: ArrayLike<number>, dimensions: number = vector.length): string {
  checkVector(vector, dimensions)
  let text = '['
  for (let at = 0; at < vector.length; at++) {
    text += (at === 0 ? '' : ',') + halfText(toHalf(vector[at]!))
  }
  return text + ']'
}

/** A halfvec as Postgres sends it in text. @throws HomeportError VECTOR_INVALID */
export function parseHalfvecText(text: string): Float32Array {
  if (!/^\[[^[\]]*\]$/.test(text)) throw invalid('it is not [number,...]')
  const inner = text.slice(1, -1)
  const parts = inner.trim() === '' ? [] : inner.split(',')
  const vector = Float32Array.from(parts, (part) => (part.trim() === '' ? NaN : Number(part)))
  checkVector(vector, parts.length)
  return vector
}

/**
 * A vector in pgvector's binary form, as a parameter or a field of COPY takes it: dimensions and a zero as
 * int2, then halves, all big-endian.
 *
 * @throws HomeportError VECTOR_INVALID
 */
export function toHalfvecBinary(vector: ArrayLike<number>, dimensions: number = vector.length): Buffer {
  checkVector(vector, dimensions)
  const bytes = Buffer.allocUnsafe(4 + 2 * vector.length)
  bytes.writeInt16BE(vector.length, 0)
  bytes.writeInt16BE(0, 2)
  for (let at = 0; at < vector.length; at++) bytes.writeUInt16BE(toHalf(vector[at]!), 4 + 2 * at)
  return bytes
}

/** The halves of pgvector's binary form, as bits. @throws HomeportError VECTOR_INVALID */
export function parseHalfvecBinary(bytes: Uint8Array): Uint16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 4 || bytes.length !== 4 + 2 * view.getInt16(0)) throw invalid('its binary form is cut')
  const bits = new Uint16Array((bytes.length - 4) / 2)
  for (let at = 0; at < bits.length; at++) bits[at] = view.getUint16(4 + 2 * at)
  return bits
}

function invalid(reason: string): HomeportError {
  return new HomeportError('VECTOR_INVALID', `a vector is not usable: ${reason}`)
}
