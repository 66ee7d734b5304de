import type { Cue, CueWord } from './cue.ts'
import { hasStamps, lineText } from './cue-payload.ts'

/** YouTube's filler cue shows the finished line again for 10 ms. */
const fillerMs = 50
/** Cues this close follow each other. */
const adjacentMs = 100

interface Shown {
  cue: Cue
  /** Its lines as text; a blank first line stays, blank last lines are gone. */
  texts: string[]
  words: CueWord[][]
}

/**
 * Whether captions roll: every cue shows the line before once more above the new one, so that naive
 * reading says everything twice or three times. Judged over the file, because in captions that do not
 * roll two equal cues in a row are two sentences. Evidence: 10 ms cues that repeat the line before
 * (one is enough), lines carried over, or a line that grows word by word (each in a good part of the cues).
 */
export function isRolling(cues: readonly Cue[]): boolean {
  let pairs = 0
  let carries = 0
  let growths = 0
  let stamped = false
  let before: Shown | undefined
  for (const cue of cues) {
    const now = show(cue)
    stamped ||= now.words.some(hasStamps)
    if (
      before !== undefined &&
      isAdjacent(before.cue, cue) &&
      before.texts.length > 0 &&
      now.texts.length > 0
    ) {
      pairs += 1
      const repeated = carriedLines(before.texts, now.texts)
      if (repeated === now.texts.length && isFiller(cue)) return true
      if (repeated > 0 && repeated < now.texts.length) carries += 1
      else if (now.texts.length === 1 && grows(before.texts, now.texts)) growths += 1
    }
    if (now.texts.length > 0) before = now
  }
  if (stamped && carries > 0) return true
  return (carries >= 2 && carries >= pairs * 0.3) || (growths >= 3 && growths >= pairs * 0.4)
}

/**
 * Rolling captions said once: of every cue only what was not on the screen already. Only the screen
 * right before counts (adjacent or overlapping cues), so a sentence said again later stays.
 * Cues must be in the order of their starts; a cue without anything new is left out.
 */
export function unroll(cues: readonly Cue[]): Cue[] {
  const fresh: Cue[] = []
  // YouTube's own, in WebVTT or made to SRT: there every cue adds one line, its last.
  const byLine = cues.some((cue) => isFiller(cue) || cue.lines.some(hasStamps))
  let before: Shown | undefined
  for (const cue of cues) {
    const now = show(cue)
    if (now.texts.length === 0) continue
    const lines = before === undefined ? now.words : newLines(before, now, byLine)
    if (lines.some((line) => line.length > 0)) fresh.push({ ...cue, lines })
    before = now
  }
  return fresh
}

function newLines(before: Shown, now: Shown, byLine: boolean): CueWord[][] {
  const firstStamped = now.words.findIndex(hasStamps)
  const untimed = firstStamped === -1 ? now.texts.length : firstStamped
  const mayHold = now.texts.length === 1 || isFiller(now.cue)
  const most = Math.min(untimed, mayHold ? now.texts.length : now.texts.length - 1)
  const carried = carriedLines(before.texts, now.texts.slice(0, most))
  if (!isAdjacent(before.cue, now.cue)) {
    // After a silence the old line may still stand above the new one.
    return byLine && carried < now.texts.length ? now.words.slice(carried) : now.words
  }
  if (carried > 0) return now.words.slice(carried)
  if (firstStamped !== -1 || now.texts[0] === '') return now.words
  const words = now.words.flat()
  return [words.slice(sharedWords(before.words.flat(), words))]
}

/** How many of the first lines now are the last lines before. */
function carriedLines(before: readonly string[], now: readonly string[]): number {
  for (let count = Math.min(before.length, now.length); count > 0; count -= 1) {
    const from = before.length - count
    let same = now[0] !== ''
    for (let index = 0; index < count && same; index += 1) same = before[from + index] === now[index]
    if (same) return count
  }
  return 0
}

/**
 * How many words at the start of `now` were the end of what was shown before: all of it (a line that
 * grows), or at least three (a window that moves on); fewer may be chance.
 */
function sharedWords(before: readonly CueWord[], now: readonly CueWord[]): number {
  for (let count = Math.min(before.length, now.length); count > 0; count -= 1) {
    if (count < 3 && count < before.length) return 0
    const from = before.length - count
    if (now.slice(0, count).every((word, index) => word.text === before[from + index]?.text)) return count
  }
  return 0
}

function grows(before: readonly string[], now: readonly string[]): boolean {
  const old = before.join(' ')
  const text = now.join(' ')
  return text.length > old.length && text.startsWith(`${old} `)
}

function show(cue: Cue): Shown {
  const texts = cue.lines.map(lineText)
  while (texts.at(-1) === '') texts.pop()
  return { cue, texts, words: cue.lines.slice(0, texts.length) }
}

function isFiller(cue: Cue): boolean {
  return cue.endMs - cue.startMs <= fillerMs
}

function isAdjacent(before: Cue, now: Cue): boolean {
  return now.startMs - before.endMs <= adjacentMs
}
