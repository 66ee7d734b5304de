const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' })

// What the Unicode rules take for the end of a sentence before a capital letter.
const abbreviation =
  /(?:^|[\s("'“‘[])(?:(?:Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|Mt|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|Rep|Pres|vs|No|Nos|Fig|Inc|Ltd|Co|Corp|approx|ca|cf|e\.g|i\.e|U\.S|U\.K|E\.U|Ph\.D|a\.k\.a)|\p{Lu})\.$/u

/** The segmenter copies its whole text for every sentence it finds, so it gets a few minutes of speech at a time. */
const windowCharacters = 4000

/**
 * The word indexes where sentences start, the first word of the range not included. Unicode's rules
 * (Intl.Segmenter), less the breaks after titles, initials and the like. `texts` are the words.
 */
export function sentenceStarts(texts: readonly string[], from: number, to: number): number[] {
  const starts: number[] = []
  for (let start = from; start < to;) {
    const end = windowEnd(texts, start, to)
    const found = startsInWindow(texts, start, end)
    const last = found.at(-1)
    // The last sentence may go on behind the window: the next one begins with it.
    start = end === to || last === undefined ? end : last
    for (const word of found) if (!abbreviation.test(texts[word - 1] ?? '')) starts.push(word)
  }
  return starts
}

function windowEnd(texts: readonly string[], from: number, to: number): number {
  let end = from
  for (let characters = 0; end < to && characters < windowCharacters; end += 1) {
    characters += (texts[end]?.length ?? 0) + 1
  }
  return end
}

function startsInWindow(texts: readonly string[], from: number, to: number): number[] {
  const starts: number[] = []
  const text = texts.slice(from, to).join(' ')
  // Nothing that could end a sentence before the last word.
  if (!/[.!?…。！？｡؟।][^\p{L}\p{N}]*\s|[。！？]/u.test(text)) return starts
  let word = from
  let offset = 0
  for (const { index } of segmenter.segment(text)) {
    while (offset < index && word < to) {
      offset += (texts[word]?.length ?? 0) + 1
      word += 1
    }
    if (index > 0 && offset === index && word < to) starts.push(word)
  }
  return starts
}
