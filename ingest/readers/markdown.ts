import type { Chapter, Transcript } from '../transcript.ts'
import { foldSpace } from './entities.ts'
import { LineCursor } from './line-cursor.ts'
import { plainInline } from './markdown-inline.ts'
import { boldNames, boldSpeaker, plainSpeaker, splitAtSpeakers } from './markdown-speakers.ts'
import { findTimeMarks, type PlacedMark, settleMarks, type TimeMark } from './markdown-times.ts'
import { ReadError } from './read-error.ts'

interface Piece {
  speaker: string | null
  text: string
  startMs: number | null
  endMs: number | null
}

interface PendingMark extends PlacedMark {
  /** Null when the mark only witnesses the order of times. */
  piece: Piece | null
  edge: 'startMs' | 'endMs'
}

const breakLabel =
  /^(?:break|intro|outro|outtro|(?:sound )?sample|music|ads?|sponsors?|jingle|interlude|(?:recording|extract|clip)(?: (?:starts|begins|ends))?)?\s*:?\s*(?:(?:to|-|–|—)\s*)?$/i
// Only where it is closed: an opening rule alone must not swallow the speech after it.
const frontMatter =
  /^---[ \t]*\r?\n(?:(?:[\w-]+:|[ \t]|-[ \t]|#)[^\n]*\n|\r?\n)*(?:---|\.\.\.)[ \t]*\r?(?:\n|$)/
const rule = /^(?:\s*[*_=-]){3,}\s*$|^(?:\s*\\\*){3,}\s*$/

/** Whether Markdown names a speaker in bold at the start of a line: what tells a transcript from a README. */
export function hasSpeakers(markdown: string): boolean {
  return boldNames(markdown).size > 0
}

/**
 * Reads a transcript written as Markdown: `**Name:** text`, paragraphs without a name belonging to the
 * speaker before. An utterance is a paragraph, or its part from one time mark to the next; it has a
 * start where a mark stands before it and an end where a break line (`**Break:** \[01:33\] to \[03:00\]`)
 * says so, otherwise null. Headings are chapters, the first `#` before any speech the title. Notes in
 * brackets stay as text. Times never refuse a file: see {@link settleMarks}.
 * @throws ReadError NOT_A_TRANSCRIPT, LINE_TOO_LONG
 */
export function readMarkdown(text: string, file: string): { transcript: Transcript; warnings: string[] } {
  const reader = new MarkdownReader(boldNames(text), frontMatter.test(text.slice(0, 16_384)))
  const lines = new LineCursor(text, file)
  for (let line = lines.next(); line !== undefined; line = lines.next()) reader.take(line, lines.number)
  if (!reader.pieces.some((piece) => piece.speaker !== null)) {
    throw new ReadError('NOT_A_TRANSCRIPT', {
      file,
      reason: 'no paragraph names its speaker',
      hint: 'A transcript in Markdown has paragraphs like "**Ada Lovelace:** Good morning."',
    })
  }
  return reader.finish()
}

class MarkdownReader {
  readonly pieces: Piece[] = []
  readonly #names: ReadonlySet<string>
  readonly #chapters: Chapter[] = []
  readonly #marks: PendingMark[] = []
  #title: string | undefined
  #language: string | undefined
  #speaker: string | null = null
  #characters = 0
  #paragraphOpen = false
  #inFrontMatter: boolean
  /** A mark that no speech followed yet: the end of a break. */
  #awaited: PendingMark | undefined

  constructor(names: ReadonlySet<string>, hasFrontMatter: boolean) {
    this.#names = names
    this.#inFrontMatter = hasFrontMatter
  }

  take(line: string, number: number): void {
    if (this.#inFrontMatter) this.#takeFrontMatter(line, number)
    else if (line.trim() === '' || rule.test(line) || /^\s*```/.test(line)) this.#paragraphOpen = false
    else {
      const trimmed = line.trim()
      const marks = findTimeMarks(trimmed)
      if (this.#takeBreak(trimmed, marks, number)) return
      const heading = /^(#{1,6})\s+(.*?)(?:\s+#+)?$/.exec(trimmed)
      if (
        heading?.[1] !== undefined &&
        heading[2] !== undefined &&
        boldSpeaker(trimmed, this.#names) === null
      ) {
        this.#takeHeading(heading[1].length, heading[2], number)
      } else for (const part of splitAtSpeakers(trimmed, this.#names)) this.#takeSpeech(part, number)
    }
  }

  finish(): { transcript: Transcript; warnings: string[] } {
    const { times, warnings } = settleMarks(this.#marks)
    for (const [index, mark] of this.#marks.entries()) {
      const ms = times[index] ?? null
      if (ms !== null && mark.piece !== null) mark.piece[mark.edge] = ms
    }
    return {
      transcript: {
        utterances: this.pieces,
        chapters: this.#chapters,
        method: 'transcript',
        engine: 'markdown',
        ...(this.#title === undefined ? {} : { title: this.#title }),
        ...(this.#language === undefined ? {} : { language: this.#language }),
      },
      warnings,
    }
  }

  #takeFrontMatter(line: string, number: number): void {
    if (number > 1 && /^(?:---|\.\.\.)\s*$/.test(line)) this.#inFrontMatter = false
    const field = /^(title|language|lang):\s*(?:"(.*)"|'(.*)'|(.*?))\s*$/.exec(line)
    const value = foldSpace(field?.[2] ?? field?.[3] ?? field?.[4] ?? '')
    if (value === '') return
    if (field?.[1] === 'title') this.#title = value
    else this.#language = value
  }

  /** A line of nothing but a label and times: the speech before it ends, the speech after it starts there. */
  #takeBreak(line: string, marks: readonly TimeMark[], number: number): boolean {
    if (marks.some((mark) => mark.label !== '')) return false
    let rest = line
    for (const mark of [...marks].reverse()) rest = rest.slice(0, mark.from) + rest.slice(mark.to)
    rest = rest.replace(/[*#]/g, '').trim()
    if (
      !breakLabel.test(rest) ||
      (rest === '' && marks.length !== 2) ||
      (marks.length === 0 && !/:$/.test(rest))
    )
      return false
    const [from, to] = marks
    if (from !== undefined) this.#mark(from.ms, number, this.pieces.at(-1) ?? null, 'endMs')
    if (to !== undefined) this.#awaited = this.#mark(to.ms, number, null, 'startMs')
    this.#paragraphOpen = false
    return true
  }

  #takeHeading(level: number, raw: string, number: number): void {
    const marks = findTimeMarks(raw)
    let rest = raw
    for (const mark of [...marks].reverse()) rest = rest.slice(0, mark.from) + rest.slice(mark.to)
    const title = plainInline(rest)
    this.#paragraphOpen = false
    const [first] = marks
    if (first !== undefined) this.#awaited = this.#mark(first.ms, number, null, 'startMs')
    if (title === '') return
    if (level === 1 && this.pieces.length === 0 && this.#title === undefined) this.#title = title
    else this.#chapters.push({ title, startMs: null, firstUtterance: this.pieces.length })
  }

  #takeSpeech(raw: string, number: number): void {
    const spoken = boldSpeaker(raw, this.#names) ?? plainSpeaker(raw, this.#names)
    if (spoken !== null) {
      this.#speaker = spoken.speaker
      this.#paragraphOpen = false
    }
    const line = (spoken?.rest ?? raw).replace(/^(?:[-+*]\s+|>\s?|[-+*]$)/, '')
    let at = 0
    let carried = ''
    for (const mark of findTimeMarks(line)) {
      this.#add(carried + line.slice(at, mark.from))
      carried = mark.label === '' ? '' : `\\[${mark.label}\\] `
      at = mark.to
      this.#awaited = this.#mark(mark.ms, number, null, 'startMs')
      this.#paragraphOpen = false
    }
    this.#add(carried + line.slice(at))
  }

  #add(raw: string): void {
    const text = plainInline(raw)
    if (text === '') return
    const last = this.pieces.at(-1)
    if (this.#paragraphOpen && last !== undefined) last.text += ` ${text}`
    else {
      const piece: Piece = { speaker: this.#speaker, text, startMs: null, endMs: null }
      this.pieces.push(piece)
      if (this.#awaited !== undefined) this.#awaited.piece = piece
      this.#awaited = undefined
    }
    this.#paragraphOpen = true
    this.#characters += text.length + 1
  }

  #mark(ms: number, line: number, piece: Piece | null, edge: 'startMs' | 'endMs'): PendingMark {
    const mark = { ms, line, charactersBefore: this.#characters, piece, edge }
    this.#marks.push(mark)
    return mark
  }
}
