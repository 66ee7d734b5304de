import t from 'tap'
import { chunkTranscript } from '../../../ingest/chunk/chunk-transcript.ts'
import { sentenceStarts } from '../../../ingest/chunk/sentences.ts'
import type { Chapter, Transcript, Utterance } from '../../../ingest/transcript.ts'

function talk(utterances: Utterance[], chapters: Chapter[] = []): Transcript {
  return { utterances, chapters, method: 'captions-manual', engine: 'webvtt' }
}

/** Sentences of ten different words. */
function sentences(count: number, from = 0): string {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index
    return `S${n} a${n} b${n} c${n} d${n} e${n} f${n} g${n} h${n} i${n}.`
  }).join(' ')
}

function says(
  speaker: string | null,
  text: string,
  startMs: number | null = null,
  endMs: number | null = null,
): Utterance {
  return { startMs, endMs, speaker, text }
}

const count = (text: string): number => text.split(/\s+/).length

t.test('a short talk is one segment with its turns', async (t) => {
  const text = 'Hello there.\nHi. How are you?\nFine.'
  t.same(
    chunkTranscript(
      talk(
        [
          says('Ann', 'Hello there.', 1000, 2000),
          says('Bob', 'Hi.', 2500, 3000),
          says('Bob', 'How are you?', 3000, 4000),
          says('Ann', 'Fine.', 4000, 4700),
        ],
        [{ title: 'Start', startMs: 0 }],
      ),
    ),
    [
      {
        ordinal: 0,
        startMs: 1000,
        endMs: 4700,
        chapter: 'Start',
        speaker: 'Bob',
        text,
        turns: [
          { speaker: 'Ann', offset: 0, startMs: 1000 },
          { speaker: 'Bob', offset: text.indexOf('Hi.'), startMs: 2500 },
          { speaker: 'Ann', offset: text.indexOf('Fine.'), startMs: 4000 },
        ],
        wordStartsMs: [0, 0, 1500, 2000, 2000, 2000, 3000],
        confidence: null,
      },
    ],
  )
})

t.test('text without times has none', async (t) => {
  const [draft] = chunkTranscript(talk([says('Ann', 'One two.')]))
  t.match(draft, {
    startMs: null,
    endMs: null,
    wordStartsMs: null,
    turns: [{ speaker: 'Ann', offset: 0, startMs: null }],
  })
  t.same(chunkTranscript(talk([])), [])
})

t.test('a long monologue breaks at sentences, with an overlap of one or two', async (t) => {
  const drafts = chunkTranscript(talk([says('Ann', sentences(100))]))
  t.equal(drafts.length, 5)
  for (const [index, { text }] of drafts.entries()) {
    t.ok(count(text) >= 180 && count(text) <= 260, `${count(text)} words`)
    t.match(text, /^S\d+ .*\.$/, 'whole sentences')
    if (index === 0) continue
    const repeated = text.split('. ').filter((sentence) => drafts[index - 1]?.text.includes(sentence))
    t.ok(repeated.length >= 1 && repeated.length <= 2, `${repeated.length} sentences repeated`)
  }
})

t.test('a last sentence of up to 50 words is still repeated', async (t) => {
  const long = (name: string): string =>
    `${name} ${Array.from({ length: 43 }, (_, at) => `${name.toLowerCase()}${at}`).join(' ')} end.`
  const text = Array.from({ length: 20 }, (_, at) => long(`L${at}x`)).join(' ')
  const drafts = chunkTranscript(talk([says('Ann', text)]))
  t.ok(drafts.length > 3)
  for (const [index, draft] of drafts.entries()) {
    if (index === 0) continue
    const first = draft.text.slice(0, draft.text.indexOf('.') + 1)
    t.equal(count(first), 45)
    t.ok(drafts[index - 1]?.text.endsWith(first), 'the sentence before, whole')
  }
})

t.test('an answer stays with its question', async (t) => {
  // Two turns make a segment of the wanted size, so that without care each would end with Bob's question.
  const turns = Array.from({ length: 24 }, (_, turn) => {
    const end = turn % 2 === 0 ? 'Bob.' : 'Ann?'
    return says(turn % 2 === 0 ? 'Ann' : 'Bob', `${sentences(9, turn * 10)} Well and so on it goes ${end}`)
  })
  const drafts = chunkTranscript(talk(turns))
  t.ok(drafts.length > 8)
  // The last turn is a question that nobody answers.
  t.same(
    drafts.slice(0, -1).filter(({ text }) => text.endsWith('?')),
    [],
    'none ends with a question',
  )
})

t.test('breaks at chapters and long pauses, without overlap', async (t) => {
  const utterances = [
    says('Ann', sentences(8), 0, 30_000),
    says('Ann', sentences(8, 8), 30_000, 60_000),
    says('Ann', sentences(8, 16), 68_001, 90_000),
    says('Ann', sentences(1, 24), 98_001, 99_000),
  ]
  const byTime = chunkTranscript(
    talk(utterances, [
      { title: 'One', startMs: 0 },
      { title: 'Two', startMs: 30_000 },
    ]),
  )
  t.same(
    byTime.map((draft) => [
      draft.chapter,
      draft.text.split(' ')[0],
      count(draft.text),
      draft.startMs,
      draft.endMs,
    ]),
    [
      ['One', 'S0', 80, 0, 30_000],
      ['Two', 'S8', 80, 30_000, 60_000],
      ['Two', 'S16', 80, 68_001, 90_000],
      ['Two', 'S24', 10, 98_001, 99_000],
    ],
  )
  const byPlace = chunkTranscript(talk(utterances), {
    chapters: [{ title: 'In text', startMs: null, firstUtterance: 1 }],
  })
  t.same(
    byPlace.map((draft) => draft.chapter),
    [null, 'In text', 'In text', 'In text'],
  )
  const shorter = chunkTranscript(talk([says('Ann', 'One.', 0, 1000), says('Ann', 'Two.', 9000, 9500)]))
  t.equal(shorter.length, 1, '8 s are no long pause yet')
})

t.test('a chapter that starts within a cue takes it when most of it is said after', async (t) => {
  const cues = [says(null, sentences(1, 0), 0, 8000), says(null, sentences(1, 1), 8000, 16_000)]
  const at = (startMs: number) =>
    chunkTranscript(talk(cues, [{ title: 'C', startMs }])).map((draft) => count(draft.text))
  t.same(at(9000), [10, 10])
  t.same(at(3000), [20])
  t.same(at(15_000), [20], 'nothing is left to begin it with')
})

t.test('a segment prefers to end where a long turn of another speaker starts', async (t) => {
  const drafts = chunkTranscript(
    talk([
      says('Ann', sentences(10)),
      says('Bob', 'Right.'),
      says('Ann', sentences(10, 10)),
      says('Bob', sentences(10, 20)),
      says('Ann', sentences(10, 30)),
    ]),
  )
  t.same(
    drafts.map((draft) => draft.turns.map((turn) => turn.speaker)),
    [
      ['Ann', 'Bob', 'Ann'],
      ['Ann', 'Bob', 'Ann'],
    ],
  )
  t.match(
    drafts[1]?.text,
    /^S18 [^\n]* S19 [^\n]*\nS20 /,
    'the second begins with two sentences of the first',
  )
  t.equal(drafts[0]?.speaker, 'Ann')
})

t.test('word times are kept to the millisecond', async (t) => {
  const [draft] = chunkTranscript(
    talk([{ ...says(null, 'one two three', 1234, 5000), wordStartsMs: [1234, 1777, 2001], confidence: 0.5 }]),
  )
  t.match(draft, { startMs: 1234, endMs: 5000, wordStartsMs: [0, 543, 767], confidence: 0.5 })
})

t.test('unpunctuated captions break at the longest pause', async (t) => {
  let ms = 0
  const utterances = Array.from({ length: 60 }, (_, line): Utterance => {
    const words = Array.from({ length: 8 }, (_, word) => `w${line}x${word}`)
    // A second and a half of silence after every fifteenth line.
    if (line % 15 === 0) ms += 1500
    const wordStartsMs = words.map(() => (ms += 300))
    return {
      startMs: wordStartsMs[0] ?? 0,
      endMs: ms + 300,
      speaker: null,
      text: words.join(' '),
      wordStartsMs,
    }
  })
  const drafts = chunkTranscript(talk(utterances))
  t.ok(drafts.length > 1)
  const ends = drafts.slice(0, -1).map((draft) => draft.text.split(' ').at(-1))
  t.ok(
    ends.every((word) => /^w(?:14|29|44)x7$/.test(word ?? '')),
    ends.join(' '),
  )
})

t.test('an endless sentence is cut all the same', async (t) => {
  const words = Array.from({ length: 5000 }, (_, index) => `w${index}`)
  const plain = chunkTranscript(talk([says('Ann', words.join(' '))]))
  t.ok(plain.every((draft) => count(draft.text) <= 300))
  const slow = chunkTranscript(talk([says('Ann', words.slice(0, 400).join(' '), 0, 4_000_000)]))
  t.ok(slow.every((draft) => (draft.endMs ?? 0) - (draft.startMs ?? 0) <= 120_000))
  const [lone] = chunkTranscript(talk([says('Ann', 'word', 1000, 600_000)]))
  t.match(lone, { startMs: 1000, endMs: 121_000 })
})

t.test('speech without spaces counts and is cut by its length', async (t) => {
  const japanese = 'これは文です。'.repeat(400)
  const drafts = chunkTranscript(talk([says('A', japanese)]))
  t.ok(drafts.length > 3)
  t.ok(drafts.every((draft) => draft.text.length < 900))
  t.equal(
    drafts
      .map((draft) => draft.text.replace(/\s/g, ''))
      .join('')
      .includes('これは文です。'),
    true,
  )
})

t.test('times between the marks of a transcript are estimated', async (t) => {
  const drafts = chunkTranscript(
    talk([
      says('Ann', sentences(4), 10_000),
      says('Ann', sentences(4, 4)),
      says('Ann', sentences(4, 8), 42_000, 60_000),
      // A break until nobody knows when; the next mark says when this is over at the latest.
      says('Bob', sentences(4, 12)),
      says('Bob', sentences(1, 16), 100_000),
    ]),
  )
  t.equal(drafts.length, 2, 'the break divides')
  const [first, second] = drafts
  t.match(first, { startMs: 10_000, endMs: 60_000 })
  const startOf4 = first?.wordStartsMs?.[40] ?? 0
  t.ok(Math.abs(startOf4 - 16_000) < 1000, `half-way between the marks: ${startOf4}`)
  t.equal(first?.wordStartsMs?.[80], 32_000, 'a mark is a mark')
  t.equal(second?.wordStartsMs?.[40], 100_000 - (second?.startMs ?? 0))
  t.ok((second?.startMs ?? 0) > 75_000, 'the silence lies right after the break')
})

t.test('a change disturbs only the segments near it', async (t) => {
  const paragraphs = Array.from({ length: 120 }, (_, index) =>
    says(index % 2 === 0 ? 'Ann' : 'Bob', sentences(3 + ((index * 7) % 11), index * 20)),
  )
  const before = new Set(chunkTranscript(talk(paragraphs)).map((draft) => draft.text))
  const changed = paragraphs.map((each, index) =>
    index === 60 ? { ...each, text: `A whole new sentence. ${each.text}` } : each,
  )
  const after = chunkTranscript(talk(changed)).map((draft) => draft.text)
  const fresh = after.filter((text) => !before.has(text))
  t.ok(fresh.length >= 1 && fresh.length <= 4, `${fresh.length} of ${after.length} segments changed`)
})

t.test('sentences do not end at titles, initials and the like', async (t) => {
  const words = 'Dr. Smith met J. R. Jones. He said "Yes." Then, e.g. Postgres 3.5 is ok! Wait... What'.split(
    ' ',
  )
  t.same(
    sentenceStarts(words, 0, words.length).map((index) => words[index]),
    ['He', 'Then,', 'Wait...', 'What'],
  )
  t.same(sentenceStarts(['no', 'end', 'here.'], 0, 3), [])
})
