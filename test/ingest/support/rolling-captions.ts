/** A word and when it is said. */
export interface TimedWord {
  text: string
  ms: number
}

/** A line of automatic captions; a sound label is one without speech. */
export interface SpokenLine {
  words: TimedWord[]
  endMs: number
  isSound: boolean
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
export function random(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const vocabulary = `so the yeah no thank you database replica it's & lag 5 ok um C++ R&D right`.split(' ')

/** A talk with pauses, sounds, lines of one word and lines said twice. */
export function inventLines(next: () => number): SpokenLine[] {
  const lines: SpokenLine[] = []
  let ms = Math.floor(next() * 3000)
  for (let left = 4 + Math.floor(next() * 30); left > 0; left -= 1) {
    if (next() < 0.08) {
      lines.push({ words: [{ text: '[Music]', ms }], endMs: ms + 3000, isSound: true })
      ms += 3000 + Math.floor(next() * 2000)
      continue
    }
    const before = lines.at(-1)
    const again = next() < 0.12 && before?.isSound === false
    const texts = again ? before.words.map(({ text }) => text) : inventTexts(next)
    const words = texts.map((text): TimedWord => {
      const word = { text, ms }
      ms += 40 * (2 + Math.floor(next() * 15)) + (next() < 0.03 ? 4000 : 0)
      return word
    })
    lines.push({ words, endMs: ms, isSound: false })
    ms += next() < 0.07 ? 3000 + Math.floor(next() * 20_000) : Math.floor(next() * 300)
  }
  return lines
}

function inventTexts(next: () => number): string[] {
  const count = next() < 0.1 ? 1 : 1 + Math.floor(next() * 8)
  return Array.from({ length: count }, () => vocabulary[Math.floor(next() * vocabulary.length)] ?? '')
}

export const startOf = (line: SpokenLine | undefined): number => line?.words[0]?.ms ?? 0
/** Until the next line takes its place; after a longer silence it has gone by itself. */
const shownUntil = (line: SpokenLine, next: SpokenLine | undefined, follower = next): number =>
  next !== undefined && startOf(next) - line.endMs < 2500 ? startOf(follower ?? next) : line.endMs + 800

const escape = (text: string): string => text.replaceAll('&', '&amp;')

/** YouTube's WebVTT: a cue with the line before and the new one, word by word, then 10 ms of it finished. */
export function rollingCues(lines: readonly SpokenLine[], next: () => number): string[][] {
  const cues: string[][] = []
  let above = ' '
  for (const [index, line] of lines.entries()) {
    const following = lines[index + 1]
    const start = startOf(line)
    const stop = shownUntil(line, following)
    const filler = Math.max(start, stop - 10)
    const tagged = line.words.map(({ text, ms }, at) =>
      at === 0 ? escape(text) : `<${clock(ms)}><c> ${escape(text)}</c>`,
    )
    const plain = line.words.map(({ text }) => escape(text)).join(' ')
    cues.push([`${clock(start)} --> ${clock(filler)}`, above, tagged.join('')])
    cues.push([`${clock(filler)} --> ${clock(stop)}`, plain, ' '])
    // After a silence the old line may still stand there.
    above = following !== undefined && startOf(following) === stop ? plain : next() < 0.5 ? ' ' : plain
  }
  return cues
}

export function toWebVtt(cues: readonly string[][]): string {
  const blocks = cues.map(([time = '', ...texts]) => `${time} align:start position:0%\n${texts.join('\n')}\n`)
  return `WEBVTT\nKind: captions\nLanguage: en\n\n${blocks.join('\n')}`
}

/** What converters make of it: no tags, blank lines kept or not. */
export function toSrt(cues: readonly string[][], keepBlank: boolean): string {
  const blocks = cues.map(([time = '', ...texts], index) => {
    const lines = texts
      .map((text) => text.replace(/<[^>]*>/g, ''))
      .filter((text) => keepBlank || text !== ' ')
    return `${index + 1}\n${time.replaceAll('.', ',')}\n${lines.join('\n')}\n`
  })
  return blocks.join('\n')
}

/** YouTube's json3: a window, a line an event that overlaps the next one, and events that append a line break. */
export function toJson3(lines: readonly SpokenLine[]): string {
  const events: unknown[] = [{ tStartMs: 0, dDurationMs: 9_000_000, id: 1, wpWinPosId: 1, wsWinStyleId: 1 }]
  for (const [index, line] of lines.entries()) {
    const start = startOf(line)
    const durationMs = shownUntil(line, lines[index + 1], lines[index + 2]) - start
    if (index > 0) {
      events.push({ tStartMs: Math.max(0, start - 10), wWinId: 1, aAppend: 1, segs: [{ utf8: '\n' }] })
    }
    const segs = line.words.map(({ text, ms }, at) =>
      at === 0 ? { utf8: text } : { utf8: ` ${text}`, tOffsetMs: ms - start },
    )
    events.push({ tStartMs: start, dDurationMs: durationMs, wWinId: 1, segs })
  }
  return JSON.stringify({ wireMagic: 'pb3', events })
}

function clock(ms: number): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const seconds = Math.floor(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(seconds % 60)}.${String(ms % 1000).padStart(3, '0')}`
}
