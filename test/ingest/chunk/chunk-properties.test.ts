import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { chunkTranscript } from '../../../ingest/chunk/chunk-transcript.ts'
import type { Chapter, Transcript, Utterance } from '../../../ingest/transcript.ts'
import { withoutOverlaps } from './overlaps.ts'

type Timing = 'none' | 'cues' | 'words' | 'marks'

interface Shape {
  timing: Timing
  utterances: {
    words: number
    speaker: string | null
    gapMs: number
    msPerWord: number
    sentence: number
    mark: boolean
  }[]
  chapters: number[]
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  timing: fc.constantFrom<Timing>('none', 'cues', 'words', 'marks'),
  utterances: fc.array(
    fc.record({
      words: fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 1, max: 60 }) },
        { weight: 1, arbitrary: fc.integer({ min: 200, max: 1500 }) },
      ),
      speaker: fc.constantFrom('Ann', 'Bob', 'Cy', null),
      // Backwards: two people at once.
      gapMs: fc.oneof(fc.integer({ min: -900, max: 3000 }), fc.constant(9000), fc.constant(0)),
      msPerWord: fc.oneof(fc.integer({ min: 100, max: 700 }), fc.constant(30_000)),
      sentence: fc.integer({ min: 1, max: 400 }),
      mark: fc.boolean(),
    }),
    { maxLength: 25 },
  ),
  chapters: fc.array(fc.integer({ min: 0, max: 25 }), { maxLength: 4 }),
})

/** Every word is its own, so that a loss, a repeat or a change of order cannot hide. */
function build({ timing, utterances, chapters }: Shape): Transcript {
  let number = 0
  let ms = 0
  const said = utterances.map((shape): Utterance => {
    ms = Math.max(0, ms + shape.gapMs)
    const startMs = ms
    const words = Array.from(
      { length: shape.words },
      (_, index) => `w${number++}${(index + 1) % shape.sentence === 0 ? '.' : ''}`,
    )
    const wordStartsMs = words.map((_, index) => startMs + index * shape.msPerWord)
    ms = startMs + words.length * shape.msPerWord
    const times =
      timing === 'none'
        ? { startMs: null, endMs: null }
        : timing === 'marks'
          ? { startMs: shape.mark ? startMs : null, endMs: null }
          : { startMs, endMs: ms, ...(timing === 'words' ? { wordStartsMs } : {}) }
    return { speaker: shape.speaker, text: words.join(' '), ...times }
  })
  const titles = [...new Set(chapters)].map((index): Chapter => ({
    title: `Chapter ${index}`,
    startMs: null,
    firstUtterance: index,
  }))
  return { utterances: said, chapters: titles, method: 'transcript', engine: 'markdown' }
}

t.test('whatever the talk', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(shapes, (shape) => check(build(shape))),
      { numRuns: 250 },
    ),
  )
})

function check(transcript: Transcript): void {
  const drafts = chunkTranscript(transcript)
  assert.deepEqual(chunkTranscript(transcript), drafts, 'the same again')
  const speakerOf = new Map<string, string | null>()
  const chapterOf = new Map<string, string | null>()
  let chapter: string | null = null
  for (const [index, each] of transcript.utterances.entries()) {
    chapter = transcript.chapters.find((one) => one.firstUtterance === index)?.title ?? chapter
    for (const word of each.text.split(' ')) {
      speakerOf.set(word, each.speaker)
      chapterOf.set(word, chapter)
    }
  }
  const words = [...speakerOf.keys()]
  const segments = drafts.map((draft) => draft.text.split(/\s+/))
  const { core, overlaps } = withoutOverlaps(words, segments)
  assert.equal(core, words.length, 'every word, in order, none invented')
  assert.ok(
    overlaps.every((count) => count <= 50),
    'a small overlap',
  )
  const timed = transcript.utterances.some((each) => each.startMs !== null)
  for (const [index, draft] of drafts.entries()) {
    const said = segments[index] ?? []
    assert.equal(draft.ordinal, index)
    assert.ok(said.length <= 300, `${said.length} words`)
    assert.ok(
      said.every((word) => chapterOf.get(word) === draft.chapter),
      'one chapter, no overlap over its border',
    )
    checkTurns(draft, said, speakerOf)
    if (!timed) {
      assert.deepEqual([draft.startMs, draft.endMs, draft.wordStartsMs], [null, null, null])
      continue
    }
    const { startMs, endMs, wordStartsMs } = draft
    assert.ok(startMs !== null && endMs !== null && wordStartsMs !== null)
    assert.ok(startMs >= 0 && endMs >= startMs && endMs - startMs <= 120_000, `${startMs} to ${endMs}`)
    assert.equal(wordStartsMs.length, said.length)
    assert.ok([startMs, endMs, ...wordStartsMs].every(Number.isInteger))
    assert.ok(wordStartsMs.every((ms) => ms >= 0) && wordStartsMs.includes(0))
  }
  checkKnownTimes(transcript, drafts)
}

function checkTurns(
  draft: ReturnType<typeof chunkTranscript>[number],
  said: readonly string[],
  speakerOf: ReadonlyMap<string, string | null>,
): void {
  const lines = draft.text.split('\n')
  assert.equal(lines.length, draft.turns.length, 'a line for each turn')
  let offset = 0
  for (const [index, turn] of draft.turns.entries()) {
    assert.equal(turn.offset, offset)
    offset += (lines[index]?.length ?? 0) + 1
    for (const word of lines[index]?.split(' ') ?? []) assert.equal(speakerOf.get(word), turn.speaker)
    if (index > 0) assert.notEqual(turn.speaker, draft.turns[index - 1]?.speaker)
  }
  const share = (speaker: string | null): number =>
    said.filter((word) => speakerOf.get(word) === speaker).length
  assert.ok(
    draft.turns.every((turn) => share(turn.speaker) <= share(draft.speaker)),
    'who says most',
  )
}

/** Where the transcript knows a word's time, the segment has exactly that. */
function checkKnownTimes(transcript: Transcript, drafts: ReturnType<typeof chunkTranscript>): void {
  const found = new Map<string, number>()
  for (const draft of drafts) {
    for (const [index, word] of draft.text.split(/\s+/).entries()) {
      if (draft.startMs !== null) found.set(word, draft.startMs + (draft.wordStartsMs?.[index] ?? Number.NaN))
    }
  }
  for (const { text, startMs, endMs, wordStartsMs } of transcript.utterances) {
    if (startMs === null) continue
    for (const [index, word] of text.split(' ').entries()) {
      if (wordStartsMs !== undefined) assert.equal(found.get(word), wordStartsMs[index])
      else if (index === 0 || (endMs !== null && endMs - startMs <= 10_000))
        assert.equal(found.get(word), startMs)
    }
  }
}
