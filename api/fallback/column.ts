type Numbers = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float32Array | Float64Array

/** A typed array that grows: what a row holds of one fact, in the order of the rows. */
export class Column<T extends Numbers> {
  /** At least `length` long; replaced when it grows, so never kept across a push. */
  values: T
  length = 0
  readonly #make: (length: number) => T

  constructor(make: (length: number) => T, capacity = 256) {
    this.#make = make
    this.values = make(capacity)
  }

  push(value: number): void {
    this.#reserve(this.length + 1)
    this.values[this.length++] = value
  }

  append(values: ArrayLike<number>): void {
    this.#reserve(this.length + values.length)
    this.values.set(values, this.length)
    this.length += values.length
  }

  /** What is filled, without copying. */
  view(): T {
    return this.values.subarray(0, this.length) as T
  }

  #reserve(length: number): void {
    if (length <= this.values.length) return
    const grown = this.#make(Math.max(length, Math.ceil(this.values.length * 1.5)))
    grown.set(this.view())
    this.values = grown
  }
}
