import type { SpokenWords } from './spoken-words.ts'

/** When every word is said, in ms. */
export interface Timeline {
  /** False when the transcript carries no time at all; then nothing else here means anything. */
  known: boolean
  startsMs: Float64Array
  endsMs: Float64Array
  /** 1 where the silence before a word breaks the talk: a pause longer than {@link pauseMs}, or a break the transcript names. */
  breakBefore: Uint8Array
}

/** A pause longer than this ends a segment. */
export const pauseMs = 8000

/** Words of a cue no longer than this start with the cue; in a longer one they are spread over it. */
const shortCueMs = 10_000
/** 165 words a minute at 5.7 characters a word with its space. */
const defaultMsPerCharacter = 64
/** Speech is hardly ever this much slower than the speaker's usual pace; what is left is silence. */
const slowest = 1.6

/**
 * Times for all words. Known are word times, else the start of the cue. Where a transcript gives times
 * only now and then (Markdown), the words between two marks are spread by their length; speech never
 * runs slower than {@link slowest} times the transcript's own pace, and the silence this leaves lies
 * after a named break, else before the next mark. Before the first and after the last mark the
 * transcript's own pace counts. Times of one speaker never go backwards.
 */
export function timeWords(words: SpokenWords): Timeline {
  const count = words.texts.length
  const startsMs = new Float64Array(count).fill(Number.NaN)
  const known = takeKnown(words, startsMs)
  if (known) fillUnknown(words, startsMs)
  const timeline = { known, startsMs, endsMs: new Float64Array(count), breakBefore: new Uint8Array(count) }
  if (known) findEnds(words, timeline)
  findBreaks(words, timeline)
  return timeline
}

function takeKnown(words: SpokenWords, startsMs: Float64Array): boolean {
  let known = false
  for (const [index, utterance] of words.utterances.entries()) {
    const from = words.firstWordOf[index] ?? 0
    const to = words.firstWordOf[index + 1] ?? 0
    const { startMs, endMs, wordStartsMs } = utterance
    if (startMs === null || from === to) {
      known ||= endMs !== null
      continue
    }
    known = true
    if (wordStartsMs?.length === to - from) {
      for (let at = from; at < to; at += 1) startsMs[at] = wordStartsMs[at - from] ?? startMs
    } else if (endMs === null) startsMs[from] = startMs
    else if (endMs - startMs <= shortCueMs) startsMs.fill(startMs, from, to)
    else spread(words, startsMs, from, to, startMs, (endMs - startMs) / characters(words, from, to))
  }
  return known
}

/** A stretch of words without times between two known moments. */
interface Stretch {
  from: number
  to: number
  leftMs: number | null
  rightMs: number | null
  /** Silence may lie before it, because the transcript says that speech stopped there. */
  afterBreak: boolean
}

function fillUnknown(words: SpokenWords, startsMs: Float64Array): void {
  const stretches = findStretches(words, startsMs)
  const pace = measurePace(words, stretches)
  for (const { from, to, leftMs, rightMs, afterBreak } of stretches) {
    const length = characters(words, from, to)
    if (leftMs === null) {
      const step = Math.min(pace, (rightMs ?? 0) / length)
      spread(words, startsMs, from, to, (rightMs ?? 0) - step * length, step)
    } else if (rightMs === null) spread(words, startsMs, from, to, leftMs, pace)
    else {
      const step = Math.min(pace * slowest, Math.max(0, rightMs - leftMs) / length)
      const start = afterBreak ? Math.max(leftMs, rightMs - Math.min(step, pace) * length) : leftMs
      spread(words, startsMs, from, to, start, afterBreak ? Math.min(step, pace) : step)
    }
  }
}

function findStretches(words: SpokenWords, startsMs: Float64Array): Stretch[] {
  const stretches: Stretch[] = []
  for (let at = 0; at < startsMs.length;) {
    if (!Number.isNaN(startsMs[at])) {
      at += 1
      continue
    }
    let to = at + 1
    while (to < startsMs.length && Number.isNaN(startsMs[to]) && endBefore(words, to) === null) to += 1
    const stopMs = endBefore(words, at)
    const rightMs = endBefore(words, to) ?? (to < startsMs.length ? (startsMs[to] ?? null) : null)
    if (at > 0 && stopMs === null) {
      // The word before is known by its start only: it takes its share of the stretch.
      stretches.push({ from: at - 1, to, leftMs: startsMs[at - 1] ?? null, rightMs, afterBreak: false })
    } else
      stretches.push({
        from: at,
        to,
        leftMs: stopMs,
        rightMs: nanToNull(rightMs),
        afterBreak: stopMs !== null,
      })
    at = to
  }
  for (const stretch of stretches) {
    stretch.leftMs = nanToNull(stretch.leftMs)
    stretch.rightMs = nanToNull(stretch.rightMs)
  }
  return stretches
}

function nanToNull(value: number | null): number | null {
  return value === null || Number.isNaN(value) ? null : value
}

/** The known end of the utterance before, where a word begins a new one. */
function endBefore(words: SpokenWords, word: number): number | null {
  const last = words.utteranceOf[word - 1]
  if (last === undefined || words.utteranceOf[word] === last) return null
  return words.utterances[last]?.endMs ?? null
}

function measurePace(words: SpokenWords, stretches: readonly Stretch[]): number {
  const paces: number[] = []
  for (const { from, to, leftMs, rightMs, afterBreak } of stretches) {
    if (leftMs === null || rightMs === null || afterBreak || to - from < 20) continue
    const pace = (rightMs - leftMs) / characters(words, from, to)
    if (pace > 30 && pace < 150) paces.push(pace)
  }
  paces.sort((a, b) => a - b)
  return paces[paces.length >> 1] ?? defaultMsPerCharacter
}

function characters(words: SpokenWords, from: number, to: number): number {
  let sum = 0
  for (let at = from; at < to; at += 1) sum += (words.texts[at]?.length ?? 0) + 1
  return sum
}

function spread(
  words: SpokenWords,
  startsMs: Float64Array,
  from: number,
  to: number,
  startMs: number,
  msPerCharacter: number,
): void {
  const step = Math.min(msPerCharacter, defaultMsPerCharacter * 4)
  let ms = startMs
  for (let at = from; at < to; at += 1) {
    startsMs[at] = Math.round(ms)
    ms += ((words.texts[at]?.length ?? 0) + 1) * step
  }
}

/** How long a word takes at most: cues stay on the screen after the last one. */
function longestMs(text: string): number {
  return 200 + 90 * text.length
}

function findEnds(words: SpokenWords, { startsMs, endsMs }: Timeline): void {
  for (let at = 0; at < startsMs.length; at += 1) {
    const owner = words.utteranceOf[at] ?? 0
    const utterance = words.utterances[owner]
    const start = startsMs[at] ?? 0
    const last = at + 1 === words.firstWordOf[owner + 1]
    const next = at + 1 < startsMs.length ? (startsMs[at + 1] ?? start) : Number.POSITIVE_INFINITY
    const cueEnd = utterance?.endMs ?? null
    // Within a cue a word ends where the next starts, unless all are known by the start of the cue only.
    let end = !last && next > start ? next : cueEnd
    end ??= Math.min(next > start ? next : Number.POSITIVE_INFINITY, start + longestMs(words.texts[at] ?? ''))
    endsMs[at] = Math.round(Math.max(start, end))
  }
}

function findBreaks(words: SpokenWords, { known, startsMs, endsMs, breakBefore }: Timeline): void {
  if (!known) return
  let silentFrom = Number.NEGATIVE_INFINITY
  for (let at = 0; at < startsMs.length; at += 1) {
    const owner = words.utteranceOf[at] ?? 0
    const utterance = words.utterances[owner]
    const first = words.firstWordOf[owner] === at
    const timed = utterance?.wordStartsMs !== undefined
    const start = startsMs[at] ?? 0
    // Only what the transcript says counts: no pause between two estimated times.
    if (at > 0 && (timed || (first && utterance?.startMs !== null)) && start - silentFrom > pauseMs)
      breakBefore[at] = 1
    if (at > 0 && first && utterance?.startMs === null && endBefore(words, at) !== null) breakBefore[at] = 1
    const saidBy = start + longestMs(words.texts[at] ?? '')
    const end = endsMs[at] ?? start
    const exact = timed || utterance?.endMs === null
    silentFrom = Math.max(silentFrom, exact ? Math.min(end, saidBy) : end)
    if (utterance?.endMs === null) silentFrom = Math.max(silentFrom, nextKnownStart(words, owner, start))
  }
}

/** Without a known end, speech is taken to last until the next utterance. */
function nextKnownStart(words: SpokenWords, owner: number, otherwise: number): number {
  return words.utterances[owner + 1]?.startMs ?? otherwise
}
