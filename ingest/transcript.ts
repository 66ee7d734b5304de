/** One speaker's uninterrupted piece of speech, as the reader found it: a cue, a caption line or a paragraph. */
export interface Utterance {
  /** Null when the transcript carries no time for it. */
  startMs: number | null
  endMs: number | null
  speaker: string | null
  /** Plain text: entities decoded, markup gone, white space folded to single spaces, never empty. */
  text: string
  /** Start of each white-space separated word of `text`, where the format knows it. */
  wordStartsMs?: readonly number[]
  /** 0 to 1, where the format knows it. */
  confidence?: number
}

export interface Chapter {
  title: string
  startMs: number | null
  /** Index of the first utterance of the chapter, where the chapter was found in the transcript itself. */
  firstUtterance?: number
}

export type TranscriptMethod = 'captions-manual' | 'captions-auto' | 'transcript' | 'recognition'

export interface Transcript {
  utterances: readonly Utterance[]
  chapters: readonly Chapter[]
  method: TranscriptMethod
  /** e.g. youtube-json3, webvtt, srt, markdown: becomes segments.engine */
  engine: string
  title?: string
  language?: string
}

export type Visibility = 'public' | 'unlisted' | 'private'

export interface SourceMetadata {
  kind: 'video' | 'recording' | 'meeting'
  url: string | null
  title: string
  channel: string | null
  language: string | null
  durationMs: number | null
  publishedAt: Date | null
  views: number | null
  visibility: Visibility
  chapters: readonly Chapter[]
}

/** A searchable piece of a transcript: the row of `segments` less its ids. */
export interface SegmentDraft {
  ordinal: number
  startMs: number | null
  endMs: number | null
  chapter: string | null
  /** Who says most of it. */
  speaker: string | null
  /** Turns joined by a newline. */
  text: string
  turns: readonly { speaker: string | null; offset: number; startMs: number | null }[]
  /** Start of each white-space separated word of `text` in ms after `startMs`; null without times. */
  wordStartsMs: readonly number[] | null
  confidence: number | null
}
