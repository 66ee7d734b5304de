import { sentenceStarts } from './sentences.ts'
import type { SpokenWords } from './spoken-words.ts'
import type { Timeline } from './timeline.ts'

/** What a segment is made of: a sentence, or a part of one that is too long. */
export interface Piece {
  from: number
  to: number
  weight: number
  startMs: number
  endMs: number
  /** 0 (the best place) to 1: how much a break before it hurts. */
  breakCost: number
}

/** A turn of more words than this is a place to break. */
const longTurn = 20
/** Also the longest that is repeated whole in the next segment. */
export const longSentence = 50
/** Parts of a sentence that had to be cut are at most this long, so that one of them can be repeated. */
const longPart = 36
const longPieceMs = 60_000
/** Between a question and another speaker's answer a break hurts: it is answered in the segment that asks it. */
const answerCost = 0.3

/** Cuts the words from `from` to `to` (one section: no forced break within) into pieces. */
export function cutPieces(words: SpokenWords, timeline: Timeline, from: number, to: number): Piece[] {
  const pieces: Piece[] = []
  for (let turn = from, end = from; turn < to; turn = end) {
    const speaker = speakerOf(words, turn)
    while (end < to && speakerOf(words, end) === speaker) end += 1
    const turnCost =
      (weigh(words, turn, end) > longTurn ? 0 : 0.5) + (turn > from && asks(words, turn - 1) ? answerCost : 0)
    const starts = [turn, ...sentenceStarts(words.texts, turn, end), end]
    for (let index = 0; index + 1 < starts.length; index += 1) {
      const first = starts[index] ?? turn
      const cost = first === turn ? turnCost : startsUtterance(words, first) ? 0.25 : 0.3
      cutSentence(words, timeline, first, starts[index + 1] ?? end, cost, longSentence, pieces)
    }
  }
  return pieces
}

/** Cuts in two, at the best place in the middle, until nothing is too long. */
function cutSentence(
  words: SpokenWords,
  timeline: Timeline,
  from: number,
  to: number,
  breakCost: number,
  mostWords: number,
  pieces: Piece[],
): void {
  const piece = measure(words, timeline, from, to, breakCost)
  const tooLong = piece.weight > mostWords || piece.endMs - piece.startMs > longPieceMs
  if (!tooLong || to - from < 2) {
    pieces.push(piece)
    return
  }
  const middle = (from + to) / 2
  const margin = Math.floor((to - from) * 0.25)
  let best = Math.ceil(middle)
  let bestScore = Number.NEGATIVE_INFINITY
  for (let at = Math.max(from + 1, from + margin); at <= Math.min(to - 1, to - margin); at += 1) {
    const score = breakScore(words, timeline, at) - (2 * Math.abs(at - middle)) / (to - from)
    if (score > bestScore) {
      best = at
      bestScore = score
    }
  }
  cutSentence(words, timeline, from, best, breakCost, longPart, pieces)
  const cutCost = 0.95 - Math.min(0.5, pauseBefore(timeline, best) / 3000)
  cutSentence(words, timeline, best, to, cutCost, longPart, pieces)
}

/** How well the talk breaks before a word within a sentence: the longest pause, else a clause's or a line's end. */
function breakScore(words: SpokenWords, timeline: Timeline, word: number): number {
  const pause = Math.min(50, pauseBefore(timeline, word) / 100)
  const clause = /[,;:–—-]["'”’)\]]*$/.test(words.texts[word - 1] ?? '') ? 2 : 0
  return pause + clause + (startsUtterance(words, word) ? 3 : 0)
}

/** Silence before a word, in ms: its start less the end a word of that length has at the latest. */
function pauseBefore({ known, startsMs, endsMs }: Timeline, word: number): number {
  if (!known) return 0
  const start = startsMs[word] ?? 0
  const before = startsMs[word - 1] ?? 0
  return Math.max(0, start - Math.min(endsMs[word - 1] ?? start, before + 600))
}

function measure(words: SpokenWords, timeline: Timeline, from: number, to: number, breakCost: number): Piece {
  let startMs = Number.POSITIVE_INFINITY
  let endMs = Number.NEGATIVE_INFINITY
  if (timeline.known) {
    for (let at = from; at < to; at += 1) {
      startMs = Math.min(startMs, timeline.startsMs[at] ?? startMs)
      endMs = Math.max(endMs, timeline.endsMs[at] ?? endMs)
    }
  } else startMs = endMs = 0
  return { from, to, weight: weigh(words, from, to), startMs, endMs, breakCost }
}

function weigh(words: SpokenWords, from: number, to: number): number {
  let sum = 0
  for (let at = from; at < to; at += 1) sum += words.weights[at] ?? 1
  return sum
}

/** Who says a word. */
export function speakerOf(words: SpokenWords, word: number): string | null {
  return words.utterances[words.utteranceOf[word] ?? 0]?.speaker ?? null
}

/** Whether a word ends a question. */
function asks(words: SpokenWords, word: number): boolean {
  return /[?？؟][^\p{L}\p{N}]*$/u.test(words.texts[word] ?? '')
}

function startsUtterance(words: SpokenWords, word: number): boolean {
  return words.firstWordOf[words.utteranceOf[word] ?? 0] === word
}
