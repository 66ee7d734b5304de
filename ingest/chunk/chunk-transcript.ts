import type { Chapter, SegmentDraft, Transcript } from '../transcript.ts'
import { cutPieces, speakerOf } from './pieces.ts'
import { type ChunkLimits, planSegments } from './plan.ts'
import { listWords, type SpokenWords } from './spoken-words.ts'
import { type Timeline, timeWords } from './timeline.ts'

export interface ChunkOptions {
  /** The chapters to break at and to name; those of the transcript when absent. */
  chapters?: readonly Chapter[]
  limits?: Partial<ChunkLimits>
}

const defaultLimits: ChunkLimits = {
  targetWords: 220,
  maxWords: 300,
  minWords: 60,
  maxMs: 120_000,
  overlapWords: 40,
}

/**
 * Divides a transcript into searchable segments of about 220 words, at most 300 words and 120 s,
 * in the order of the talk, every word at least once. It always breaks at chapters and pauses longer
 * than 8 s, otherwise where a long turn of another speaker or a sentence starts; under 60 words only
 * where such a break forces it. A segment begins with the last one or two sentences of the one before
 * (40 words at most, or a single one of up to 50), not across a forced break and not past the limits.
 *
 * Times are those of the words, else of the cue; where a transcript gives few they are estimated
 * between the known ones (see {@link timeWords}); without any they are null. The same input gives the
 * same segments, and a change of the text changes only those near it.
 */
export function chunkTranscript(transcript: Transcript, options: ChunkOptions = {}): SegmentDraft[] {
  const words = listWords(transcript.utterances)
  const timeline = timeWords(words)
  const limits = { ...defaultLimits, ...options.limits }
  const drafts: SegmentDraft[] = []
  for (const section of findSections(words, timeline, options.chapters ?? transcript.chapters)) {
    const pieces = cutPieces(words, timeline, section.from, section.to)
    for (const { from, to, overlap } of planSegments(pieces, limits)) {
      const first = pieces[from - overlap]?.from ?? section.from
      const last = pieces[to - 1]?.to ?? section.to
      drafts.push(draftSegment(words, timeline, first, last, drafts.length, section.chapter, limits.maxMs))
    }
  }
  return drafts
}

interface Section {
  from: number
  to: number
  chapter: string | null
}

/** The stretches between forced breaks. */
function findSections(words: SpokenWords, timeline: Timeline, chapters: readonly Chapter[]): Section[] {
  const titles = new Map<number, string>()
  for (const chapter of chapters) {
    const word = firstWordOfChapter(words, timeline, chapter)
    if (word !== null) titles.set(word, chapter.title)
  }
  const sections: Section[] = []
  let chapter: string | null = null
  let from = 0
  const count = words.texts.length
  for (let at = 0; at < count; at += 1) {
    const title = titles.get(at)
    if (title === undefined && timeline.breakBefore[at] !== 1) continue
    if (at > from) sections.push({ from, to: at, chapter })
    from = at
    chapter = title ?? chapter
  }
  if (count > from) sections.push({ from, to: count, chapter })
  return sections
}

/** Null when the chapter starts after the last word, or has only a time and the transcript has none. */
function firstWordOfChapter(words: SpokenWords, timeline: Timeline, chapter: Chapter): number | null {
  const count = words.texts.length
  if (chapter.firstUtterance !== undefined) {
    const word = words.firstWordOf[Math.min(chapter.firstUtterance, words.utterances.length)] ?? count
    return word < count ? word : null
  }
  if (chapter.startMs === null || !timeline.known) return null
  let at = 0
  while (at < count && (timeline.startsMs[at] ?? 0) < chapter.startMs) at += 1
  // A cue that is mostly said after the chapter's start belongs to it.
  const owner = at > 0 ? (words.utteranceOf[at - 1] ?? 0) : -1
  const cue = words.utterances[owner]
  if (cue !== undefined && cue.startMs !== null && cue.endMs !== null && cue.wordStartsMs === undefined) {
    if (chapter.startMs < (cue.startMs + cue.endMs) / 2) at = words.firstWordOf[owner] ?? at
  }
  return at < count ? at : null
}

function draftSegment(
  words: SpokenWords,
  timeline: Timeline,
  from: number,
  to: number,
  ordinal: number,
  chapter: string | null,
  maxMs: number,
): SegmentDraft {
  const turns: { speaker: string | null; offset: number; startMs: number | null }[] = []
  const said = new Map<string | null, number>()
  let text = ''
  for (let turn = from, end = from; turn < to; turn = end) {
    const speaker = speakerOf(words, turn)
    let weight = 0
    for (; end < to && speakerOf(words, end) === speaker; end += 1) weight += words.weights[end] ?? 1
    if (turn > from) text += '\n'
    turns.push({
      speaker,
      offset: text.length,
      startMs: timeline.known ? (timeline.startsMs[turn] ?? null) : null,
    })
    text += words.texts.slice(turn, end).join(' ')
    said.set(speaker, (said.get(speaker) ?? 0) + weight)
  }
  const common = {
    ordinal,
    chapter,
    speaker: mostSaid(said),
    text,
    turns,
    confidence: meanConfidence(words, from, to),
  }
  if (!timeline.known) return { ...common, startMs: null, endMs: null, wordStartsMs: null }
  let startMs = Number.POSITIVE_INFINITY
  let endMs = Number.NEGATIVE_INFINITY
  for (let at = from; at < to; at += 1) {
    startMs = Math.min(startMs, timeline.startsMs[at] ?? startMs)
    endMs = Math.max(endMs, timeline.endsMs[at] ?? endMs)
  }
  const wordStartsMs = relativeTo(startMs, timeline.startsMs, from, to)
  // A cue of one word may stand for longer than a segment may last.
  return { ...common, startMs, endMs: Math.min(endMs, startMs + maxMs), wordStartsMs }
}

function relativeTo(startMs: number, startsMs: Float64Array, from: number, to: number): number[] {
  const relative: number[] = []
  for (let at = from; at < to; at += 1) relative.push((startsMs[at] ?? startMs) - startMs)
  return relative
}

/** Over the words whose confidence is known; null when none is. */
function meanConfidence(words: SpokenWords, from: number, to: number): number | null {
  let sum = 0
  let known = 0
  for (let at = from; at < to; at += 1) {
    const confidence = words.utterances[words.utteranceOf[at] ?? 0]?.confidence
    if (confidence === undefined) continue
    sum += confidence
    known += 1
  }
  return known === 0 ? null : sum / known
}

function mostSaid(said: ReadonlyMap<string | null, number>): string | null {
  let most: string | null = null
  let words = -1
  for (const [speaker, count] of said) {
    if (count > words) {
      most = speaker
      words = count
    }
  }
  return most
}
