import type { Utterance } from '../transcript.ts'

/** Every word of a transcript in order, as columns. */
export interface SpokenWords {
  texts: readonly string[]
  /** How many words it counts for: more than one where a script writes without spaces. */
  weights: readonly number[]
  utteranceOf: Int32Array
  /** Index of the first word of every utterance, and the number of words at the end. */
  firstWordOf: Int32Array
  utterances: readonly Utterance[]
}

/** A token longer than this is cut, after a punctuation mark where there is one: no word is that long. */
const maxTokenCharacters = 400

const spaceless = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]/

/** Splits the text of all utterances at white space. */
export function listWords(utterances: readonly Utterance[]): SpokenWords {
  const texts: string[] = []
  const weights: number[] = []
  const owners: number[] = []
  const firstWordOf = new Int32Array(utterances.length + 1)
  for (const [index, utterance] of utterances.entries()) {
    firstWordOf[index] = texts.length
    for (const token of splitWords(utterance.text)) {
      if (token === '') continue
      for (const text of token.length > maxTokenCharacters ? cutToken(token) : [token]) {
        texts.push(text)
        weights.push(weightOf(text))
        owners.push(index)
      }
    }
  }
  firstWordOf[utterances.length] = texts.length
  return { texts, weights, utteranceOf: Int32Array.from(owners), firstWordOf, utterances }
}

// Readers fold white space; splitting folded text by the one character is several times faster.
function splitWords(text: string): string[] {
  return /[^\S ]/.test(text) ? text.split(/\s+/) : text.split(' ')
}

function weightOf(text: string): number {
  if (text.length <= 4) return 1
  if (spaceless.test(text)) return Math.ceil(text.length / 2.5)
  return text.length > 30 ? Math.ceil(text.length / 8) : 1
}

function cutToken(token: string): string[] {
  const pieces: string[] = []
  let from = 0
  while (token.length - from > maxTokenCharacters) {
    const window = token.slice(from, from + maxTokenCharacters)
    const mark = Math.max(
      ...['。', '！', '？', '、', '，', '.', ',', '!', '?'].map((char) => window.lastIndexOf(char)),
    )
    let to = from + (mark > maxTokenCharacters / 2 ? mark + 1 : maxTokenCharacters)
    const last = token.charCodeAt(to - 1)
    if (last >= 0xd800 && last < 0xdc00) to -= 1
    pieces.push(token.slice(from, to))
    from = to
  }
  pieces.push(token.slice(from))
  return pieces
}
