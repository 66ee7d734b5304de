import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ExpectedError } from './expected-error.ts'
import { readTranscript } from '../../../ingest/readers/read-transcript.ts'
import { readWebVtt } from '../../../ingest/readers/webvtt.ts'
import { sharedData } from '../../support/shared-data.ts'

function read(text: string) {
  return readWebVtt(text, 'talk.vtt').transcript
}

t.test('reads header, comments, styles, regions, identifiers and settings', async (t) => {
  const transcript = read(
    [
      'WEBVTT - a talk',
      'Kind: captions',
      'Language: de',
      '',
      'STYLE',
      '::cue(v) { color: red }',
      '',
      'REGION',
      'id:fred',
      '',
      'NOTE a comment',
      'of two lines',
      '',
      'first --not an arrow',
      '00:01.000 --> 00:02.500 align:start position:0%',
      'One &amp; &lt;two&gt;&nbsp;three',
      '',
      '01:00:00.000 --> 01:00:01.000',
      'second',
      'line',
    ].join('\r\n'),
  )
  t.same(transcript, {
    utterances: [
      { startMs: 1000, endMs: 2500, speaker: null, text: 'One & <two> three' },
      { startMs: 3_600_000, endMs: 3_601_000, speaker: null, text: 'second line' },
    ],
    chapters: [],
    method: 'captions-manual',
    engine: 'webvtt',
    language: 'de',
  })
})

t.test('keeps the voices of a cue apart', async (t) => {
  const { utterances } = read(
    'WEBVTT\n\n00:01.000 --> 00:04.000\n<v.loud Ann &amp; Co>Hello <i.x>there</i>,\nall</v> hm\n<v Bob>Hi<c.a.b> you</c>\n',
  )
  t.same(
    utterances.map(({ speaker, text, startMs }) => [speaker, text, startMs]),
    [
      ['Ann & Co', 'Hello there, all', 1000],
      [null, 'hm', 1000],
      ['Bob', 'Hi you', 1000],
    ],
  )
})

t.test('takes time tags as word times', async (t) => {
  const { utterances } = read(
    'WEBVTT\n\n00:16.500 --> 00:18.500\nWhen the moon <00:17.500>hits <00:00:17.900>your eye\n',
  )
  t.same(utterances[0]?.wordStartsMs, [16500, 16500, 16500, 17500, 17900, 17900])
  // Tags that lead backwards or out of the cue do not take the words with them.
  const bad = read('WEBVTT\n\n00:10.000 --> 00:12.000\na <00:11.000>b <00:05.000>c <00:50.000>d\n')
  t.same(bad.utterances[0]?.wordStartsMs, [10000, 11000, 11000, 12000])
})

t.test('recognises names before the text only where they are a habit', async (t) => {
  const cue = (n: number, text: string) => `00:${10 + n}.000 --> 00:${11 + n}.000\n${text}\n\n`
  const zoom = read(
    `WEBVTT\n\n${cue(0, 'Ann Lee: Hello.')}${cue(1, 'and welcome')}${cue(2, 'Bob: Hi.')}${cue(3, 'Ann Lee: So.')}`,
  )
  t.same(
    zoom.utterances.map((each) => [each.speaker, each.text]),
    [
      ['Ann Lee', 'Hello.'],
      ['Ann Lee', 'and welcome'],
      ['Bob', 'Hi.'],
      ['Ann Lee', 'So.'],
    ],
  )
  const colons = Array.from({ length: 30 }, (_, n) =>
    cue(n, n === 3 ? 'Remember: twice' : n === 9 ? 'Remember: twice' : 'on'),
  )
  const talk = read(`WEBVTT\n\n${colons.join('')}`)
  t.ok(talk.utterances.every((each) => each.speaker === null))
  t.equal(talk.utterances[3]?.text, 'Remember: twice')
})

t.test('sorts cues, keeps overlapping ones, skips empty ones', async (t) => {
  const { transcript, warnings } = readWebVtt(
    'WEBVTT\n\n00:05.000 --> 00:09.000\n<v B>later\n\n00:01.000 --> 00:06.000\n<v A>earlier\n\n00:07.000 --> 00:07.000\n \n',
    'talk.vtt',
  )
  t.same(
    transcript.utterances.map(({ startMs, endMs, text }) => [startMs, endMs, text]),
    [
      [1000, 6000, 'earlier'],
      [5000, 9000, 'later'],
    ],
  )
  t.match(warnings, [/^line 6: .*sorted/])
})

t.test('keeps text that a tool cut off from its cue by a blank line', async (t) => {
  const { utterances } = read('WEBVTT\n\n00:01.000 --> 00:02.000\n\nspoken all the same\n')
  t.equal(utterances[0]?.text, 'spoken all the same')
})

t.test('two equal cues in a row are said twice', async (t) => {
  const { utterances } = read(
    'WEBVTT\n\n00:01.000 --> 00:02.000\nnever\n\n00:02.000 --> 00:03.000\nnever never\n\n00:03.000 --> 00:04.000\nnever never\n',
  )
  t.same(
    utterances.map((each) => each.text),
    ['never', 'never never', 'never never'],
  )
})

t.test('refuses what would lose speech or make no sense, with the line', async (t) => {
  const cue = (times: string) => `WEBVTT\n\n00:00.000 --> 00:01.000\nfine\n\n${times}\ntext\n`
  const cases: [string, ExpectedError][] = [
    [cue('00:00:1d.890 --> 00:00:16.000'), { code: 'BAD_TIME', line: 6 }],
    [cue('00:05.000 --> 00:04.000'), { code: 'BAD_TIME', line: 6, reason: /ends before it starts/ }],
    [cue('-00:05.000 --> 00:04.000'), { code: 'BAD_TIME', line: 6, reason: /negative/ }],
    [cue('00:05.000 --> -00:04.000'), { code: 'BAD_TIME', line: 6, reason: /negative/ }],
    [cue('99:59:59.000 --> 99:59:59.500'), { code: 'BAD_TIME', line: 6, reason: /24 hours/ }],
    [cue('123456:00:00.000 --> 123456:00:01.000'), { code: 'BAD_TIME', line: 6, reason: /24 hours/ }],
    [cue('00:61.000 --> 00:62.000'), { code: 'BAD_TIME', line: 6 }],
    [cue('00:05.000 -->'), { code: 'BAD_TIME', line: 6 }],
    [cue('soon --> later'), { code: 'BAD_TIME', line: 6 }],
    [cue('no time at all'), { code: 'MALFORMED_TRANSCRIPT', line: 6, reason: /no time line/ }],
    ['WEBVTT\n\n00:01.000 --> 00:02.000\na\n\nstray\n', { code: 'MALFORMED_TRANSCRIPT', line: 6 }],
    [
      '00:01.000 --> 00:02.000\na\n',
      { code: 'MALFORMED_TRANSCRIPT', line: 1, reason: /begin with "WEBVTT"/ },
    ],
    ['WEBVTTX\n', { code: 'MALFORMED_TRANSCRIPT', line: 1 }],
    [`WEBVTT\n\n00:01.000 --> 00:02.000\n${'a'.repeat(2 ** 20 + 1)}\n`, { code: 'LINE_TOO_LONG', line: 4 }],
  ]
  for (const [text, error] of cases)
    t.throws(() => read(text), { file: 'talk.vtt', ...error }, text.slice(0, 70))
  t.equal(read(cue('23:59:59.000 --> 24:00:00.000')).utterances.length, 2, 'a day is the limit')
})

// What becomes of each of webvtt-py's files: the number of utterances, or code and line.
const verdicts: Readonly<Record<string, number | readonly [string, number | undefined]>> = {
  'captions_with_bom.vtt': 4,
  'comments.vtt': 3,
  'cue_tags.vtt': 3,
  'empty.vtt': ['EMPTY_FILE', undefined],
  'invalid.vtt': ['MALFORMED_TRANSCRIPT', 1],
  'invalid_format.sbv': ['NOT_A_TRANSCRIPT', undefined],
  'invalid_format1.srt': ['NOT_A_TRANSCRIPT', 1],
  'invalid_format2.srt': ['NOT_A_TRANSCRIPT', 1],
  'invalid_format3.srt': ['MALFORMED_TRANSCRIPT', 1],
  'invalid_format4.srt': ['MALFORMED_TRANSCRIPT', 1],
  'invalid_timeframe.sbv': ['NOT_A_TRANSCRIPT', undefined],
  // A point instead of the comma, which many tools write.
  'invalid_timeframe.srt': 5,
  'invalid_timeframe.vtt': ['BAD_TIME', 6],
  // A time line right under another: the first cue is empty, and no speech is lost.
  'invalid_timeframe_in_cue_text.vtt': 3,
  'metadata_headers.vtt': 2,
  'metadata_headers_multiline.vtt': 2,
  'missing_caption_text.sbv': ['NOT_A_TRANSCRIPT', undefined],
  'missing_caption_text.srt': 4,
  'missing_caption_text.vtt': 4,
  'missing_timeframe.sbv': ['NOT_A_TRANSCRIPT', undefined],
  'missing_timeframe.srt': ['MALFORMED_TRANSCRIPT', 6],
  'missing_timeframe.vtt': ['MALFORMED_TRANSCRIPT', 6],
  'no_captions.vtt': ['NO_SPEECH', undefined],
  'one_caption.srt': 1,
  'one_caption.vtt': 1,
  'sample.sbv': ['NOT_A_TRANSCRIPT', undefined],
  'sample.srt': 5,
  'sample.vtt': 16,
  'styles.vtt': 1,
  'two_captions.sbv': ['NOT_A_TRANSCRIPT', undefined],
  'using_identifiers.vtt': 6,
  'youtube_dl.vtt': 3,
}

const data = sharedData()
t.test('the files of webvtt-py', { skip: data === undefined && 'no ../shared/data here' }, async (t) => {
  const folder = join(data ?? '', 'captions', 'webvtt-py')
  const files = readdirSync(folder).filter((name) => name !== 'LICENSE')
  t.same(files.sort(), Object.keys(verdicts).sort())
  for (const file of files) {
    const bytes = readFileSync(join(folder, file))
    const verdict = verdicts[file] ?? 0
    if (typeof verdict === 'number') {
      t.equal(readTranscript({ path: file, bytes }).transcript.utterances.length, verdict, file)
    } else {
      const [code, line] = verdict
      t.throws(() => readTranscript({ path: file, bytes }), { code, line, file }, file)
    }
  }
  const rolling = readTranscript({
    path: 'y.vtt',
    bytes: readFileSync(join(folder, 'youtube_dl.vtt')),
  }).transcript
  t.equal(rolling.method, 'captions-auto')
  t.same(
    rolling.utterances.map((each) => each.text),
    ['yeah', 'what', "this will happen is I'm telling"],
  )
  t.same(rolling.utterances[2]?.wordStartsMs, [304080, 304199, 304379, 304620, 304860, 305069])
})
