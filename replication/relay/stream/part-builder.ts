import { decodeMessage } from '../../pgoutput/decode.ts'
import { isRowChange, messageTag } from '../../pgoutput/peek.ts'
import { bytesPerFrame } from '../batch-codec.ts'

/** A table's description: its types, then itself. */
type Description = readonly Buffer[]

/**
 * Collects the frames of one part after another. Transactions describe their tables themselves; here that becomes
 * what a part needs: before its first frame everything it uses, in between only what changed since.
 */
export class PartBuilder {
  #head: Buffer[] = []
  #body: Buffer[] = []
  #bytes = 0
  /** types that wait for their table */
  #types: Buffer[] = []
  readonly #current = new Map<number, Description>()
  readonly #written = new Map<number, Description>()

  /** Of the frames, with their lengths. */
  get bytes(): number {
    return this.#bytes
  }

  add(frame: Buffer): void {
    const tag = frame[0]!
    if (tag === messageTag.type) {
      this.#types.push(frame)
      return
    }
    if (tag === messageTag.relation) {
      this.#current.set(frame.readUInt32BE(1), [...this.#types, frame])
      this.#types = []
      return
    }
    if (isRowChange(tag)) this.#need(frame.readUInt32BE(1))
    else if (tag === messageTag.truncate) for (const oid of truncatedRelations(frame)) this.#need(oid)
    this.#put(this.#body, frame)
  }

  /** The frames so far. What comes next is another part, of the same transactions. */
  take(): Buffer[] {
    const frames = [...this.#head, ...this.#body]
    this.#head = []
    this.#body = []
    this.#bytes = 0
    this.#written.clear()
    return frames
  }

  #need(oid: number): void {
    const description = this.#current.get(oid)
    const written = this.#written.get(oid)
    if (description === undefined || description === written) return
    this.#written.set(oid, description)
    if (written !== undefined && isSame(description, written)) return
    const place = written === undefined ? this.#head : this.#body
    for (const frame of description) {
      // Tables share types; the head says each once.
      if (place === this.#head && place.some((other) => other === frame || other.equals(frame))) continue
      this.#put(place, frame)
    }
  }

  #put(place: Buffer[], frame: Buffer): void {
    place.push(frame)
    this.#bytes += bytesPerFrame + frame.length
  }
}

function isSame(a: Description, b: Description): boolean {
  return a.length === b.length && a.every((frame, at) => frame.equals(b[at]!))
}

function truncatedRelations(frame: Buffer): readonly number[] {
  const message = decodeMessage(frame, { inStream: false, protocol: 1 })
  return message.type === 'truncate' ? message.relationOids : []
}
