import t from 'tap'
import type { ExpectedError } from './expected-error.ts'
import { readJson3 } from '../../../ingest/readers/youtube-json3.ts'

function read(events: unknown[]) {
  return readJson3(JSON.stringify({ wireMagic: 'pb3', events }), 'v.en.json3').transcript
}

t.test('reads manual captions', async (t) => {
  const transcript = read([
    { tStartMs: 1000, dDurationMs: 2000, segs: [{ utf8: 'Hello,\nall &amp; sundry' }] },
    { tStartMs: 2500, dDurationMs: 2000, segs: [{ utf8: 'overlapping' }] },
    { tStartMs: 9000, segs: [{ utf8: '\n' }] },
  ])
  t.same(transcript.utterances, [
    { startMs: 1000, endMs: 3000, speaker: null, text: 'Hello, all & sundry' },
    { startMs: 2500, endMs: 4500, speaker: null, text: 'overlapping' },
  ])
  t.match(transcript, { method: 'captions-manual', engine: 'youtube-json3' })
})

t.test('reads automatic captions once, with word times and confidence', async (t) => {
  const transcript = read([
    { tStartMs: 0, dDurationMs: 60000, id: 1, wpWinPosId: 1, wsWinStyleId: 1 },
    { tStartMs: 500, dDurationMs: 3000, wWinId: 1, segs: [{ utf8: '[Music]' }] },
    {
      tStartMs: 1000,
      dDurationMs: 4000,
      wWinId: 1,
      segs: [
        { utf8: 'never', acAsrConf: 255 },
        { utf8: ' never', tOffsetMs: 320, acAsrConf: 0 },
        { utf8: ' do', tOffsetMs: 600, acAsrConf: 51 },
        { utf8: "n't", tOffsetMs: 700, acAsrConf: 0 },
        { utf8: ' [ __ ]', tOffsetMs: 800 },
      ],
    },
    { tStartMs: 3000, dDurationMs: 2000, wWinId: 1, aAppend: 1, segs: [{ utf8: '\n' }] },
    { tStartMs: 3010, dDurationMs: 3000, wWinId: 1, segs: [{ utf8: 'never', acAsrConf: 0 }] },
  ])
  t.same(transcript.utterances, [
    {
      startMs: 1000,
      endMs: 3010,
      speaker: null,
      text: "never never don't [__]",
      wordStartsMs: [1000, 1320, 1600, 1800],
      confidence: (1 + 0.2) / 2,
    },
    { startMs: 3010, endMs: 6010, speaker: null, text: 'never', wordStartsMs: [3010] },
  ])
  t.equal(transcript.method, 'captions-auto')
})

t.test('takes out what no database takes', async (t) => {
  const transcript = read([{ tStartMs: 0, dDurationMs: 1, segs: [{ utf8: 'a\0b \ud800c' }] }])
  t.equal(transcript.utterances[0]?.text, 'ab \uFFFDc')
})

t.test('refuses broken files, naming the event and its line', async (t) => {
  const good = { tStartMs: 0, dDurationMs: 10, segs: [{ utf8: 'x' }] }
  const cases: [unknown, ExpectedError][] = [
    [
      { ...good, tStartMs: -5 },
      { code: 'BAD_TIME', reason: /event 2 .*negative/ },
    ],
    [
      { ...good, tStartMs: 360000000 },
      { code: 'BAD_TIME', reason: /24 hours/ },
    ],
    [
      { ...good, tStartMs: '5' },
      { code: 'BAD_TIME', reason: /no number as "tStartMs"/ },
    ],
    [
      { ...good, dDurationMs: -1 },
      { code: 'BAD_TIME', reason: /"dDurationMs"/ },
    ],
    [
      { ...good, segs: [{ utf8: 'x', tOffsetMs: -1 }] },
      { code: 'BAD_TIME', reason: /"tOffsetMs"/ },
    ],
    [
      { ...good, segs: 'x' },
      { code: 'MALFORMED_TRANSCRIPT', reason: /"segs"/ },
    ],
    [
      { ...good, segs: [{ utf8: 1 }] },
      { code: 'MALFORMED_TRANSCRIPT', reason: /"utf8"/ },
    ],
  ]
  for (const [event, error] of cases) {
    const text = `{"events":[\n${JSON.stringify(good)},\n${JSON.stringify(event)}\n]}`
    t.throws(() => readJson3(text, 'v.json3'), { file: 'v.json3', line: 3, ...error })
  }
  t.throws(() => readJson3('{"events":[1]}', 'v.json3'), { code: 'MALFORMED_TRANSCRIPT' })
  t.throws(() => readJson3('{"a":1}', 'v.json3'), { code: 'NOT_A_TRANSCRIPT' })
  t.throws(() => readJson3('[]', 'v.json3'), { code: 'NOT_A_TRANSCRIPT' })
  t.throws(() => readJson3('{\n"events": [\n', 'v.json3'), {
    code: 'MALFORMED_TRANSCRIPT',
    line: 3,
    reason: /cut off/,
  })
})
