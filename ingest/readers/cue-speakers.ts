import type { Cue, CueWord } from './cue.ts'
import { cueWords } from './cue-payload.ts'

const prefix = /^(?:\p{Lu}[\p{L}\p{M}\d.'’_-]*)(?: (?:\p{Lu}[\p{L}\p{M}\d.'’_-]*|\d{1,2})){0,3}:$/u
// Words that open a sentence before a colon.
const notNames = new Set(
  'note warning tip important question answer example step chapter remember so and but now first second third next finally result update summary conclusion http https'.split(
    ' ',
  ),
)

/**
 * Recognises `Name: text` at the start of cues and moves the name from the text to the speaker, in
 * place. Careful, since a colon is also punctuation: a name is one to four capitalised words, used at
 * least twice, and a tenth of all cues must begin so (or half of them with any name at all). A cue
 * without a name belongs to the speaker before, unless it begins with `>>`, which only says that
 * another one speaks. Cues with voices of their own are left alone.
 */
export function nameSpeakers(cues: readonly Cue[]): void {
  const found = new Map<Cue, number>()
  const uses = new Map<string, number>()
  for (const cue of cues) {
    const words = cueWords(cue)
    if (words.some((word) => word.speaker !== null)) return
    const length = prefixLength(words)
    if (length === 0) continue
    found.set(cue, length)
    const name = prefixName(words, length)
    uses.set(name, (uses.get(name) ?? 0) + 1)
  }
  const most = found.size >= cues.length / 2
  const enough = most || found.size >= cues.length / 10
  let speaker: string | null = null
  for (const cue of cues) {
    const words = cueWords(cue)
    const turn = words[0]?.text.startsWith('>>') === true
    const length = found.get(cue) ?? 0
    const name = length === 0 ? undefined : prefixName(words, length)
    if (name !== undefined && enough && (most || (uses.get(name) ?? 0) > 1)) {
      speaker = name
      dropWords(cue, length)
    } else if (turn) {
      speaker = null
      const first = words[0]
      if (first !== undefined) first.text = first.text.replace(/^>>+/, '')
      if (first?.text === '') dropWords(cue, 1)
    }
    for (const word of cueWords(cue)) word.speaker = speaker
  }
}

/** The number of words of the prefix, `>>` before it included; 0 without one or when nothing follows. */
function prefixLength(words: readonly CueWord[]): number {
  const from = words[0]?.text === '>>' ? 1 : 0
  for (let length = 1; length <= 4 && from + length < words.length; length += 1) {
    if (words[from + length - 1]?.text.endsWith(':') !== true) continue
    const text = words
      .slice(from, from + length)
      .map((word) => word.text)
      .join(' ')
    return prefix.test(text) && !notNames.has(text.slice(0, -1).toLowerCase()) ? from + length : 0
  }
  return 0
}

function prefixName(words: readonly CueWord[], length: number): string {
  const named = words.slice(words[0]?.text === '>>' ? 1 : 0, length)
  return named
    .map((word) => word.text)
    .join(' ')
    .slice(0, -1)
}

function dropWords(cue: Cue, count: number): void {
  let left = count
  for (const line of cue.lines) {
    const taken = Math.min(left, line.length)
    line.splice(0, taken)
    left -= taken
  }
}
