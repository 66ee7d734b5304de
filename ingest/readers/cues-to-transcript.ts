import type { Transcript, Utterance } from '../transcript.ts'
import type { Cue, CueWord } from './cue.ts'
import { cueWords } from './cue-payload.ts'
import { nameSpeakers } from './cue-speakers.ts'
import { isRolling, unroll } from './rolling.ts'

const soundLabel = /^[[(♪]\s*(?:music|applause|laughter|cheering|silence|foreign)[^\])]*[\])♪]$/i

/** A caption that only names a sound, as automatic captions do (`[Music]`). */
export function isSoundLabel(text: string): boolean {
  return soundLabel.test(text)
}

/**
 * Cues in file order to a transcript: sorted by start (overlaps of several speakers are legal and
 * stay), rolling ones said once and cut where the next begins, one utterance a cue and speaker.
 * Cues without words are left out.
 */
export function cuesToTranscript(
  cues: readonly Cue[],
  engine: 'webvtt' | 'srt' | 'youtube-json3',
): { transcript: Transcript; warnings: string[] } {
  const warnings: string[] = []
  const outOfOrder = cues.find((cue, index) => index > 0 && cue.startMs < (cues[index - 1]?.startMs ?? 0))
  let ordered = [...cues]
  if (outOfOrder !== undefined) {
    warnings.push(`line ${outOfOrder.line}: cues are not in the order of their times; they were sorted`)
    ordered.sort((a, b) => a.startMs - b.startMs)
  }
  const rolling = isRolling(ordered)
  if (rolling) ordered = unroll(ordered)
  else ordered.forEach(dropDialogueDashes)
  nameSpeakers(ordered)
  const utterances = ordered.flatMap((cue) => cueUtterances(cue, rolling))
  return {
    transcript: {
      utterances: rolling ? withoutOverlap(utterances) : utterances,
      chapters: [],
      method: rolling ? 'captions-auto' : 'captions-manual',
      engine,
    },
    warnings,
  }
}

function cueUtterances(cue: Cue, rolling: boolean): Utterance[] {
  const words = cueWords(cue)
  const utterances: Utterance[] = []
  for (let from = 0, to = 0; from < words.length; from = to) {
    const speaker = words[from]?.speaker ?? null
    while (to < words.length && (words[to]?.speaker ?? null) === speaker) to += 1
    const said = words.slice(from, to)
    const text = said.map((word) => word.text).join(' ')
    if (rolling && isSoundLabel(text)) continue
    const starts = wordStarts(said, cue, rolling && words.length === 1)
    utterances.push({
      startMs: from === 0 ? cue.startMs : (starts?.[0] ?? cue.startMs),
      endMs: cue.endMs,
      speaker,
      text,
      ...(starts === undefined ? {} : { wordStartsMs: starts }),
    })
  }
  return utterances
}

/**
 * Words before the first time tag start with the cue, later ones with the tag before them. Tags never
 * lead backwards nor out of the cue. Undefined without tags; YouTube gives a line of one word none.
 */
function wordStarts(words: readonly CueWord[], cue: Cue, single: boolean): number[] | undefined {
  if (!single && !words.some((word) => word.stampMs !== null)) return undefined
  let latest = cue.startMs
  return words.map((word) => {
    latest = Math.min(cue.endMs, Math.max(latest, word.stampMs ?? cue.startMs))
    return latest
  })
}

/** Cuts every utterance where the next begins. They are in the order of their starts. */
export function withoutOverlap(utterances: readonly Utterance[]): Utterance[] {
  return utterances.map((utterance, index) => {
    const next = utterances[index + 1]?.startMs ?? null
    if (next === null || utterance.endMs === null || utterance.endMs <= next) return utterance
    const starts = utterance.wordStartsMs?.map((ms) => Math.min(ms, next))
    return { ...utterance, endMs: next, ...(starts === undefined ? {} : { wordStartsMs: starts }) }
  })
}

function dropDialogueDashes(cue: Cue): void {
  for (const line of cue.lines) {
    if (line.length > 1 && /^[-–—]$/.test(line[0]?.text ?? '')) line.shift()
  }
}
