import t from 'tap'
import type { ExpectedError } from './expected-error.ts'
import { readSrt } from '../../../ingest/readers/srt.ts'

function texts(text: string): [number | null, number | null, string | null, string][] {
  return readSrt(text, 'talk.srt').transcript.utterances.map((each) => [
    each.startMs,
    each.endMs,
    each.speaker,
    each.text,
  ])
}

t.test('reads numbers or none, comma or point, CRLF, coordinates and styling', async (t) => {
  const file = [
    '1',
    '00:00:01,000 --> 00:00:02,500  X1:100 X2:200 Y1:10 Y2:20',
    '{\\an8}<i>Hello</i> <font color="#fff">there</font>',
    'a < b and c > d',
    '',
    '00:00:03.000 --> 00:00:04.000',
    'no number',
    '',
    '7',
    '00:01:00,5 --> 00:01:01,000',
    '- Really?',
    '- &quot;Yes&quot;',
    '',
  ]
  const expected = [
    [1000, 2500, null, 'Hello there a < b and c > d'],
    [3000, 4000, null, 'no number'],
    [60500, 61000, null, 'Really? "Yes"'],
  ]
  t.same(texts(file.join('\n')), expected)
  t.same(texts(file.join('\r\n')), expected)
  t.same(texts(file.join('\r')), expected)
})

t.test('a number that is said stays', async (t) => {
  t.same(
    texts(
      '1\n00:00:01,000 --> 00:00:02,000\nhow many?\n42\n\n2\n00:00:03,000 --> 00:00:04,000\n42\n3\n00:00:05,000 --> 00:00:06,000\nyes\n',
    ),
    [
      [1000, 2000, null, 'how many? 42'],
      [3000, 4000, null, '42'],
      [5000, 6000, null, 'yes'],
    ],
  )
})

t.test('an arrow in speech is not a time', async (t) => {
  t.same(texts('1\n00:00:01,000 --> 00:00:02,000\nFile --> Save\n'), [[1000, 2000, null, 'File --> Save']])
})

t.test('keeps text after a blank line with its cue and says so', async (t) => {
  const { transcript, warnings } = readSrt(
    '1\n00:00:01,000 --> 00:00:02,000\none\n\nstill one\n\n2\n00:00:03,000 --> 00:00:04,000\ntwo\n',
    'talk.srt',
  )
  t.same(
    transcript.utterances.map((each) => each.text),
    ['one still one', 'two'],
  )
  t.match(warnings, [/^line 5: /])
})

t.test('recognises speakers', async (t) => {
  t.same(
    texts(
      '1\n00:00:01,000 --> 00:00:02,000\n>> ANN: One.\n\n2\n00:00:03,000 --> 00:00:04,000\nand: a half\n\n3\n00:00:05,000 --> 00:00:06,000\n>> Who?\n\n4\n00:00:07,000 --> 00:00:08,000\nANN: Me.\n',
    ).map(([, , speaker, text]) => [speaker, text]),
    [
      ['ANN', 'One.'],
      ['ANN', 'and: a half'],
      [null, 'Who?'],
      ['ANN', 'Me.'],
    ],
  )
})

t.test('refuses broken files with the line', async (t) => {
  const cases: [string, ExpectedError][] = [
    ['1\n', { code: 'NOT_A_TRANSCRIPT', line: 1 }],
    ['Dear diary,\ntoday\n', { code: 'MALFORMED_TRANSCRIPT', line: 1 }],
    ['hello\n00:00:01,000 --> 00:00:02,000\nx\n', { code: 'MALFORMED_TRANSCRIPT', line: 1 }],
    ['1\n00:00:01,000 --> 00:00:02,000\nx\n\n2\nlost?\n', { code: 'MALFORMED_TRANSCRIPT', line: 6 }],
    ['1\n00:00:03,000 --> 00:00:02,000\nx\n', { code: 'BAD_TIME', line: 2 }],
    ['1\n-00:00:03,000 --> 00:00:02,000\nx\n', { code: 'BAD_TIME', line: 2, reason: /negative/ }],
    ['1\n99:59:59,000 --> 99:59:59,999\nx\n', { code: 'BAD_TIME', line: 2, reason: /24 hours/ }],
    ['1\n00:00:0x,000 --> 00:00:02,000\nx\n', { code: 'BAD_TIME', line: 2 }],
  ]
  for (const [text, error] of cases)
    t.throws(() => readSrt(text, 'talk.srt'), { file: 'talk.srt', ...error }, text)
})
