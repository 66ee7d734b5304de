/**
 * Lays segments over the words they were cut from: how many of the words are covered in order without a
 * gap, and how many each segment repeats of the one before (never more than that one's own words).
 * `core` is the number of words covered, so anything but all of them is a loss or an invention.
 */
export function withoutOverlaps(
  words: readonly string[],
  segments: readonly (readonly string[])[],
): { core: number; overlaps: number[] } {
  let core = 0
  let before = 0
  const overlaps: number[] = []
  for (const segment of segments) {
    let overlap = 0
    while (overlap <= before && !matches(words, core - overlap, segment)) overlap += 1
    if (overlap > before) return { core, overlaps }
    overlaps.push(overlap)
    core += segment.length - overlap
    before = segment.length - overlap
  }
  return { core, overlaps }
}

function matches(words: readonly string[], from: number, segment: readonly string[]): boolean {
  return from >= 0 && segment.every((word, index) => words[from + index] === word)
}
