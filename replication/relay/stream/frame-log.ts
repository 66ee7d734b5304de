import { SpillFile } from './spill-file.ts'

/** A place between two frames of a log, to go back to. */
export interface FrameMark {
  frames: number
  bytes: number
}

/** What an object costs beside its bytes. */
const frameOverheadBytes = 150

/** The frames of one transaction in order: in memory, until they are told to move to disk. */
export class FrameLog {
  #frames: Buffer[] = []
  #count = 0
  #bytes = 0
  #file: SpillFile | null = null

  /** Bytes as they will travel: each frame with its length. */
  get bytes(): number {
    return this.#bytes
  }

  /** What it holds of the process's memory, nearly. */
  get memoryBytes(): number {
    return this.#file === null ? this.#bytes + this.#count * frameOverheadBytes : 0
  }

  get isSpilled(): boolean {
    return this.#file !== null
  }

  /** Takes over a frame: its bytes must not change. */
  append(frame: Buffer): void {
    if (this.#file === null) this.#frames.push(frame)
    else this.#file.append(frame)
    this.#count += 1
    this.#bytes += 4 + frame.length
  }

  mark(): FrameMark {
    return { frames: this.#count, bytes: this.#bytes }
  }

  /** Forgets what came after the mark. */
  truncate(mark: FrameMark): void {
    if (this.#file === null) this.#frames.length = mark.frames
    else this.#file.truncate(mark.bytes)
    this.#count = mark.frames
    this.#bytes = mark.bytes
  }

  /** Moves to a file, and stays there. @throws HomeportError SPILL_FAILED. */
  spill(path: string): void {
    const file = new SpillFile(path)
    for (const frame of this.#frames) file.append(frame)
    this.#frames = []
    this.#file = file
  }

  /** Nothing is appended any more; what is in a file's buffer is written. @throws HomeportError SPILL_FAILED. */
  seal(): void {
    this.#file?.seal()
  }

  /** A pass over all frames, in groups that are small beside a part. @throws HomeportError SPILL_FAILED. */
  async *read(): AsyncGenerator<readonly Buffer[]> {
    if (this.#file === null) yield this.#frames
    else yield* this.#file.read()
  }

  /** Removes the file, when there is one. */
  async release(): Promise<void> {
    await this.#file?.remove()
  }
}
