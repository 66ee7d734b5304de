/** A time written in the text: `\[12:34\]`, `[01:02:03.14]`, `\[unintelligible 00:27:15.29\]`. */
export interface TimeMark {
  /** Where it stands in the line, with its brackets. */
  from: number
  to: number
  ms: number
  /** What stands in the brackets before the time, if anything. */
  label: string
}

// Backslashes stand inside the brackets of real transcripts ("\[\\00:20:03.01\\8\]"). A link on the time goes with it.
const mark =
  /\\?\[([^[\]\\\n]{0,60}?)\\*(\d{1,5}(?::\d{1,2}){1,3})(?:\.(\d+)(?:\\+\d*)*)?\\*\](?:\((?:[^()\s]|\([^()\s]*\))*\))?/g

/** All time marks of a line, in order. Two parts are minutes and seconds, a fourth is frames and left out. */
export function findTimeMarks(line: string): TimeMark[] {
  if (!line.includes('[')) return []
  const marks: TimeMark[] = []
  for (const match of line.matchAll(mark)) {
    const [whole, label = '', clock = '', fraction = ''] = match
    const parts = clock.split(':').map(Number)
    const [first = 0, second = 0, third] = parts
    const seconds = third === undefined ? first * 60 + second : (first * 60 + second) * 60 + third
    marks.push({
      from: match.index,
      to: match.index + whole.length,
      ms: seconds * 1000 + Number(fraction.slice(0, 3).padEnd(3, '0')),
      label: label.trim(),
    })
  }
  return marks
}

/** A mark at its place in the speech, counted in characters. */
export interface PlacedMark {
  ms: number
  line: number
  charactersBefore: number
}

const dayMs = 24 * 60 * 60 * 1000
/** 165 words a minute of 5.7 characters: only bridges the gap between two parts of an episode. */
const msPerCharacter = 64
/** Smaller steps back are the rounding of marks written to the second. */
const worthSaying = 10_000

/**
 * Decides which marks to believe: never lose speech, never crash, only times are at stake. Marks that
 * break the order (typing errors such as 1178:01) are dropped, as few as possible. Where the times of
 * a whole stretch start over, the recording has parts; they are taken to be played one after the other.
 * Returns one time for each mark, null when it is not believed.
 */
export function settleMarks(marks: readonly PlacedMark[]): { times: (number | null)[]; warnings: string[] } {
  const warnings: string[] = []
  const times: (number | null)[] = []
  let offsetMs = 0
  let from = 0
  for (const to of [...partStarts(marks), marks.length]) {
    const part = marks.slice(from, to)
    const before = lastKnown(marks, times)
    const [first] = part
    if (before !== undefined && first !== undefined) {
      const spokenMs = (first.charactersBefore - before.charactersBefore) * msPerCharacter
      offsetMs = Math.round(before.ms + spokenMs - first.ms)
      warnings.push(`line ${first.line}: the times start over; they are counted on from the part before`)
    }
    const inDay = part.map((each) => each.ms + offsetMs <= dayMs)
    const believed = longestRise(part.map((each, index) => (inDay[index] === true ? each.ms : -1)))
    for (const [index, each] of part.entries()) {
      const good = inDay[index] === true && believed.has(index)
      times.push(good ? each.ms + offsetMs : null)
      if (!good && isFarOff(part, index, believed)) {
        warnings.push(
          `line ${each.line}: a time of ${Math.round(each.ms / 1000)} s does not fit its neighbours and was left out`,
        )
      }
    }
    from = to
  }
  return { times, warnings }
}

function lastKnown(
  marks: readonly PlacedMark[],
  times: readonly (number | null)[],
): { ms: number; charactersBefore: number } | undefined {
  for (let index = times.length - 1; index >= 0; index -= 1) {
    const ms = times[index]
    const at = marks[index]
    if (typeof ms === 'number' && at !== undefined) return { ms, charactersBefore: at.charactersBefore }
  }
  return undefined
}

/**
 * Where times start over: a mark more than a minute before both marks before it, from which the next
 * ones rise without reaching the old height at once (a lone typing error is followed by a mark that does).
 */
function partStarts(marks: readonly PlacedMark[]): number[] {
  const starts: number[] = []
  for (let at = 2; at + 1 < marks.length; at += 1) {
    if (at - (starts.at(-1) ?? 0) < 2) continue
    const [before = 0, last = 0, first = 0, second = 0, third] = marks
      .slice(at - 2, at + 3)
      .map((each) => each.ms)
    const falls = Math.min(before, last) > first + 60_000
    const rises = first <= second && (third === undefined || second <= third)
    if (falls && rises && Math.max(second, third ?? 0) < last) starts.push(at)
  }
  return starts
}

function isFarOff(marks: readonly PlacedMark[], index: number, believed: ReadonlySet<number>): boolean {
  const ms = marks[index]?.ms ?? 0
  for (const near of [index - 1, index + 1]) {
    const neighbour = marks[near]
    if (neighbour !== undefined && believed.has(near) && Math.abs(neighbour.ms - ms) < worthSaying)
      return false
  }
  return true
}

/** The indexes of a longest non-decreasing subsequence (patience sorting); negative values never belong. */
function longestRise(values: readonly number[]): Set<number> {
  const tails: number[] = []
  const parents = new Array<number>(values.length).fill(-1)
  for (const [index, value] of values.entries()) {
    if (value < 0) continue
    let low = 0
    let high = tails.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((values[tails[middle] ?? 0] ?? 0) <= value) low = middle + 1
      else high = middle
    }
    parents[index] = low === 0 ? -1 : (tails[low - 1] ?? -1)
    tails[low] = index
  }
  const chosen = new Set<number>()
  for (let index = tails.at(-1) ?? -1; index >= 0; index = parents[index] ?? -1) chosen.add(index)
  return chosen
}
