import { stemmer } from 'stemmer'

/** A word of a text: where it stands (UTF-16 offsets into the text as given) and what it counts as. */
export interface Token {
  start: number
  end: number
  /** Signed 32-bit hash of the word's stem, as `segment_terms.terms` holds it. */
  term: number
}

/** The words of a text with how often each occurs: the row of `segment_terms`. */
export interface TermCounts {
  /** Distinct, ascending, signed 32-bit. */
  terms: number[]
  /** In the order of `terms`, at most 32,767 each (smallint). */
  counts: number[]
  /** All words, repeats included. */
  length: number
}

// What a code point is to a word. The values are an order: everything below `word` can end one.
const separator = 0
const apostrophe = 1
/** Soft hyphens and joiners: invisible inside a word. */
const invisible = 2
const word = 3
/** Scripts that put no space between words: counted as overlapping pairs of characters. */
const unspaced = 4
/** Belongs to the character before it: a mark, a half-width voicing sign, a conjoining vowel. */
const mark = 5

const unspacedPattern =
  /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]/u
const classes = new Uint8Array(0x110000).fill(255)

function classify(codePoint: number): number {
  const text = String.fromCodePoint(codePoint)
  if (/['’ʼ＇]/u.test(text)) return apostrophe
  if (/\u{ad}|\u{200c}|\u{200d}|\u{2060}|\u{feff}/u.test(text)) return invisible
  if (/[\p{M}\u{ff9e}\u{ff9f}\u{1160}-\u{11ff}]/u.test(text)) return mark
  if (!/[\p{L}\p{N}]/u.test(text)) return separator
  return unspacedPattern.test(text) && !/\p{N}/u.test(text) ? unspaced : word
}

function classOf(codePoint: number): number {
  const known = classes[codePoint] ?? separator
  return known === 255 ? (classes[codePoint] = classify(codePoint)) : known
}

/**
 * FNV-1a, 32 bits, over the low and high byte of every UTF-16 unit, then MurmurHash3's finaliser, so
 * that every bit of the result depends on every character. Part of the data format: it must not change
 * while `segment_terms` holds rows.
 */
export function hashTerm(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

const foldedLetters: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ı: 'i',
  ς: 'σ',
}

/** Compatibility forms, case, accents (Latin, Greek, Cyrillic), Hebrew and Arabic points: all folded. */
function fold(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .normalize('NFKD')
    .replace(/[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u0652\u0670]/g, '')
    .replace(/[ßæœøłđðþıς]/g, (letter) => foldedLetters[letter] ?? letter)
    .normalize('NFC')
    .replace(/[^\p{L}\p{M}\p{N}'’ʼ]/gu, '')
}

const longestStem = 40

/**
 * What a written word counts as: folded, possessives and contractions (`Ann's`, `we'll`) reduced to their
 * first part, a French or Italian article (`l'`, `d'`, `qu'`) dropped, other apostrophes (`don't`) closed up,
 * and English-looking words (a to z only) cut to their Porter stem.
 */
export function stemOf(written: string): string {
  let text = fold(written)
  if (/['’ʼ]/.test(text)) {
    text = text
      .replace(/['’ʼ](?:s|ll|re|ve|m|d)$/, '')
      .replace(/^(?:l|d|qu)['’ʼ](?=[^'’ʼ]{2})/, '')
      .replace(/['’ʼ]/g, '')
  }
  return text.length <= longestStem && /^[a-z]+$/.test(text) ? stemmer(text) : text
}

// Two halves that replace each other: what is in use survives, and memory stays bounded.
const cacheHalf = 32_768
let recent = new Map<string, number>()
let older = new Map<string, number>()

function termOf(written: string): number {
  let term = recent.get(written)
  if (term !== undefined) return term
  term = older.get(written) ?? hashTerm(stemOf(written))
  if (written.length > longestStem) return term
  if (recent.size >= cacheHalf) {
    older = recent
    recent = new Map()
  }
  // V8 keeps the whole text alive behind a slice of 13 units or more; this makes a copy of the word.
  recent.set(written.length < 13 ? written : ` ${written}`.slice(1), term)
  return term
}

type Visit = (start: number, end: number, term: number) => void

/** A table by ASCII code: which letters and digits the stems that are looked for begin with. */
type Initials = Uint8Array

function eachToken(text: string, visit: Visit, initials?: Initials): void {
  const { length } = text
  let at = 0
  while (at < length) {
    const codePoint = text.codePointAt(at) ?? 0
    const kind = classOf(codePoint)
    if (kind === word) at = wordFrom(text, at, visit, initials)
    else if (kind === unspaced) at = pairsFrom(text, at, visit)
    else at += codePoint > 0xffff ? 2 : 1
  }
}

/** Visits the word that starts at `start`, if it may have one of the initials. @returns where reading goes on */
function wordFrom(text: string, start: number, visit: Visit, initials?: Initials): number {
  let end = start
  let at = start
  let plain = true
  while (at < text.length) {
    const codePoint = text.codePointAt(at) ?? 0
    const kind = classOf(codePoint)
    // One apostrophe or joiner may stand inside a word, so it counts only once a letter follows.
    if (kind === separator || kind === unspaced) break
    if (kind === apostrophe && at !== end) break
    if (kind === apostrophe) plain = false
    at += codePoint > 0xffff ? 2 : 1
    if (kind >= word) end = at
  }
  // Folding and stemming keep a plain word's first letter, so most words need neither.
  const initial = text.charCodeAt(start) | 0x20
  if (initials === undefined || !plain || initial > 0x7f || initials[initial] === 1) {
    visit(start, end, termOf(text.slice(start, end)))
  }
  return at
}

/** Visits each pair of neighbouring characters of an unspaced run, or its only character. */
function pairsFrom(text: string, start: number, visit: Visit): number {
  let previousStart = -1
  let previous = ''
  let pairs = 0
  let at = start
  while (at < text.length) {
    const characterStart = at
    let codePoint = text.codePointAt(at) ?? 0
    if (classOf(codePoint) !== unspaced) break
    do {
      at += codePoint > 0xffff ? 2 : 1
      codePoint = text.codePointAt(at) ?? 0
    } while (at < text.length && classOf(codePoint) === mark)
    const character = fold(text.slice(characterStart, at))
    if (previousStart >= 0) {
      visit(previousStart, at, hashTerm(previous + character))
      pairs++
    }
    previousStart = characterStart
    previous = character
  }
  if (pairs === 0) visit(start, at, hashTerm(previous))
  return at
}

/**
 * The words of a text in order. Unspaced scripts (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese)
 * come as overlapping pairs. Anything that is a JavaScript string is accepted.
 */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  eachToken(text, (start, end, term) => tokens.push({ start, end, term }))
  return tokens
}

/** The words of a text, counted. The same words as `tokenize`. */
export function countTerms(text: string): TermCounts {
  const found: number[] = []
  eachToken(text, (_start, _end, term) => found.push(term))
  return counted(found)
}

function counted(found: readonly number[]): TermCounts {
  const sorted = Int32Array.from(found).sort()
  const terms: number[] = []
  const counts: number[] = []
  let runStart = 0
  for (let at = 1; at <= sorted.length; at++) {
    if (at < sorted.length && sorted[at] === sorted[runStart]) continue
    terms.push(sorted[runStart] ?? 0)
    counts.push(Math.min(at - runStart, 32_767))
    runStart = at
  }
  return { terms, counts, length: sorted.length }
}

// Function words, as their stems: they say how a question is put, not what it is about.
const stopWords = `
  a an the this that these those i me my mine myself we us our ours ourselves you your yours yourself
  he him his himself she her hers herself it its itself they them their theirs themselves who whom whose
  what which when where why how am is are was were be been being have has had having do does did doing done
  can could may might must shall should will would and or but nor if because as until while of at by for
  with about against between into through during before after above below to from up down in out on off
  over under again further then once here there all any both each few more most other some such no not
  only own same so than too very just also now dont doesnt didnt isnt arent wasnt werent cant couldnt
  wont wouldnt shouldnt havent hasnt hadnt`

let stopTerms: ReadonlySet<number> | undefined

/**
 * The words of a question, counted, less the English function words in it, unless nothing else remains.
 * Texts keep theirs, so a question made only of such words ("who are they") still finds something.
 */
export function queryTerms(text: string): TermCounts {
  return counted(queryTokens(text).map(({ term }) => term))
}

function queryTokens(text: string): Token[] {
  stopTerms ??= new Set(countTerms(stopWords).terms)
  const found = tokenize(text)
  const telling = found.filter(({ term }) => stopTerms?.has(term) !== true)
  return telling.length > 0 ? telling : found
}

/** Finds the words of a question in texts: those of `tokenize` whose term is one of `queryTerms`, in order. */
export function wordFinder(question: string): (text: string) => Token[] {
  const tokens = queryTokens(question)
  const terms = new Set(tokens.map(({ term }) => term))
  const initials: Initials = new Uint8Array(0x80)
  for (const { start, end } of tokens) {
    const code = stemOf(question.slice(start, end)).charCodeAt(0)
    if (code < 0x80) initials[code | 0x20] = 1
  }
  return (text) => {
    const found: Token[] = []
    eachToken(
      text,
      (start, end, term) => {
        if (terms.has(term)) found.push({ start, end, term })
      },
      initials,
    )
    return found
  }
}
