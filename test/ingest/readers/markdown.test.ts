import t from 'tap'
import { plainInline } from '../../../ingest/readers/markdown-inline.ts'
import { settleMarks } from '../../../ingest/readers/markdown-times.ts'
import { hasSpeakers, readMarkdown } from '../../../ingest/readers/markdown.ts'

function read(...paragraphs: string[]) {
  return readMarkdown(paragraphs.join('\n\n'), 'talk.md').transcript
}
function said(...paragraphs: string[]): [string | null, string][] {
  return read(...paragraphs).utterances.map((each) => [each.speaker, each.text])
}
function times(...paragraphs: string[]): [string, number | null, number | null][] {
  return read(...paragraphs).utterances.map((each) => [each.text, each.startMs, each.endMs])
}

t.test('paragraphs belong to the speaker before', async (t) => {
  t.same(said('**Ann Lee:** One.', 'Two\nstill two.', '**Bob:**', 'Three.', '**Ann Lee:** Four.'), [
    ['Ann Lee', 'One.'],
    ['Ann Lee', 'Two still two.'],
    ['Bob', 'Three.'],
    ['Ann Lee', 'Four.'],
  ])
})

t.test('finds speakers however they are typed', async (t) => {
  const cases: [string, string | null, string][] = [
    ['**Ann Lee**: hello', 'Ann Lee', 'hello'],
    ['**Ann Lee** : hello', 'Ann Lee', 'hello'],
    ['**Ann Lee:**...hello', 'Ann Lee', '...hello'],
    ['**Ann Lee: **hello', 'Ann Lee', 'hello'],
    ['***Ann Lee:** hello*', 'Ann Lee', 'hello'],
    ['1**Ann Lee:** hello', 'Ann Lee', 'hello'],
    ['**Ann Lee: Ann Lee:** hello', 'Ann Lee', 'hello'],
    ['**Ann Lee: "**hello", she said', 'Ann Lee', '"hello", she said'],
    ['**Ann &amp; Bob:** hello', 'Ann & Bob', 'hello'],
    ['**$STDOUT:** hello', '$STDOUT', 'hello'],
    ['**VM (Vicky) Brasseur, Psy.D:** hello', 'VM (Vicky) Brasseur, Psy.D', 'hello'],
    ['**Known** hello', 'Known', 'hello'],
    ['Known: hello', 'Known', 'hello'],
    // Bold that is no speaker.
    ['**So what I mean: look** hello', 'Known', 'So what I mean: look hello'],
    ['**Really** hello', 'Known', 'Really hello'],
    ['**Note:** hello', 'Known', 'Note: hello'],
    ['Three things: hello', 'Known', 'Three things: hello'],
  ]
  for (const [line, speaker, text] of cases) t.same(said('**Known:** x', line)[1], [speaker, text], line)
})

t.test('a speaker in the middle of a line has a turn of his own', async (t) => {
  t.same(said('**Ann Lee:** Really? **Bob Ray:** Yes. **this:** is not one'), [
    ['Ann Lee', 'Really?'],
    ['Bob Ray', 'Yes. this: is not one'],
  ])
})

t.test('markup goes, words stay', async (t) => {
  const cases: [string, string][] = [
    ['C\\# and \\$5 \\[laughs\\] a\\*\\*hole', 'C# and $5 [laughs] a**hole'],
    ['see [the *blog* post](https://example.org/a_(b) "t") now', 'see the blog post now'],
    ['an ![image](x.png) here', 'an here'],
    ['**bold** *em* ***both*** _em_ __bold__ ~~gone~~ `x_y_z*`', 'bold em both em bold gone x_y_z*'],
    ['snake_case_name and 2 * 3 * 4', 'snake_case_name and 2 3 4'],
    ['It&#39;s &quot;5 &lt; 6&quot; &T; &#x1F600;', 'It\'s "5 < 6" &T; 😀'],
    ['m<sup>2</sup> <b>x</b><br/>y <https://example.org> a<b', 'm2 xy https://example.org a<b'],
    ["I don't wanna f*** up", "I don't wanna f*** up"],
    ['*"half an emphasis', '"half an emphasis'],
    ['the other half."*', 'the other half."'],
    ['\\&amp; \\\\ done', '&amp; \\ done'],
    ['\u00a0no-break\u200b  and   spaces ', 'no-break and spaces'],
  ]
  for (const [markdown, text] of cases) t.equal(plainInline(markdown), text, markdown)
})

t.test('lists, quotes, rules and fences', async (t) => {
  t.same(
    said(
      '**Ann:** points:',
      '- first\n- second',
      '3. third',
      '> quoted',
      '\\* \\* \\*',
      '---',
      '```\ncode()\n```',
      '+',
    ).map(([, text]) => text),
    ['points:', 'first second', '3. third', 'quoted', 'code()'],
  )
})

t.test('times before, within and after a paragraph', async (t) => {
  t.same(
    times(
      '**Ann:** \\[00:05\\] One.',
      'Untimed.',
      '[01:02:03.5] Two \\[unintelligible 01:02:10.14\\] half. \\[laughs\\]',
      '**Bob:** Three. \\[\\\\01:03:00.01\\\\8\\]',
      'Four [1:04:00](https://example.org/v?t=1) five.',
    ),
    [
      ['One.', 5000, null],
      ['Untimed.', null, null],
      ['Two', 3_723_500, null],
      ['[unintelligible] half. [laughs]', 3_730_140, null],
      ['Three.', null, null],
      ['Four', 3_780_010, null],
      ['five.', 3_840_000, null],
    ],
  )
})

t.test('breaks end the speech before them and are not said', async (t) => {
  const lines = [
    '**Break:** \\[01:33\\] to \\[03:00\\]',
    '**Break**: \\[01:33\\] to \\[03:00\\]',
    '# **Break:** \\[01:33\\] to \\[03:00\\]',
    'Break: [01:33] - [03:00]',
    '**Break:** **\\[01:33\\]** to \\[\\\\00:03:00\\\\\\]',
    '**Outro**: [00:01:33:11] to [00:03:00:02]',
  ]
  for (const line of lines) {
    t.same(
      times('**Ann:** \\[00:05\\] One.', line, '**Bob:** Two.'),
      [
        ['One.', 5000, 93_000],
        ['Two.', 180_000, null],
      ],
      line,
    )
  }
  t.same(times('**Ann:** \\[00:05\\] One.', '**Break:** \\[01:33\\]', 'Two.')[0], ['One.', 5000, 93_000])
  t.same(
    said('**Ann:** One.', '**Break:**', 'Two.').map(([, text]) => text),
    ['One.', 'Two.'],
  )
  t.same(said('**Break:** I am a person', '**Ann:** x')[0], ['Break', 'I am a person'], 'unless something is')
})

t.test('a time that breaks the order is left out, the speech stays', async (t) => {
  const { transcript, warnings } = readMarkdown(
    '**Ann:** \\[01:00\\] a\n\n\\[1178:01\\] b\n\n\\[02:00\\] c\n\n\\[00:30\\] d\n\n[99:99:99] e\n\n\\[03:00\\] f',
    'talk.md',
  )
  t.same(
    transcript.utterances.map((each) => [each.text, each.startMs]),
    [
      ['a', 60_000],
      ['b', null],
      ['c', 120_000],
      ['d', null],
      ['e', null],
      ['f', 180_000],
    ],
  )
  t.match(warnings, [/^line 3: /, /^line 7: /, /^line 9: /])
})

t.test('times that start over are counted on', async (t) => {
  const marks = [10, 300, 900, 1500, 5, 400, 1000, 1600].map((seconds, index) => ({
    ms: seconds * 1000,
    line: index + 1,
    charactersBefore: index * 1000,
  }))
  const { times: settled, warnings } = settleMarks(marks)
  // 1,000 characters of speech lie between the last time of the one and the first of the other part.
  t.same(settled, [10_000, 300_000, 900_000, 1_500_000, 1_564_000, 1_959_000, 2_559_000, 3_159_000])
  t.match(warnings, [/^line 5: .*start over/])
})

t.test('headings are chapters, the first one the title', async (t) => {
  const { title, chapters } = read(
    '# The *Talk*',
    '## Opening',
    '**Ann:** One.',
    '## \\[02:00\\] Middle #',
    'Two.',
    '# Late',
    '**Bob:** Three.',
  )
  t.equal(title, 'The Talk')
  t.same(chapters, [
    { title: 'Opening', startMs: null, firstUtterance: 0 },
    { title: 'Middle', startMs: null, firstUtterance: 1 },
    { title: 'Late', startMs: null, firstUtterance: 2 },
  ])
})

t.test('front matter gives title and language; an opening rule is no front matter', async (t) => {
  t.match(read('---\ntitle: "A: b"\nlang: de\ntags:\n  - x\n---\n', '**Ann:** One.'), {
    title: 'A: b',
    language: 'de',
    utterances: [{ text: 'One.' }],
  })
  t.equal(read('---', '**Ann:** One.', '---', '**Bob:** Two.').utterances.length, 2)
})

t.test('Markdown without speakers is no transcript', async (t) => {
  t.throws(() => read('# Read me', 'Some **bold** text.', '**Note:** x'), {
    code: 'NOT_A_TRANSCRIPT',
    file: 'talk.md',
  })
  t.notOk(hasSpeakers('# Usage\n\n**Important:** read\n\n* **a** b\n'))
  t.ok(hasSpeakers('text\n\n**Ann:** Hello\n'))
  t.throws(() => read(`**Ann:** ${'a '.repeat(600_000)}`), { code: 'LINE_TOO_LONG', line: 1 })
})

t.test('odd markup costs no more than it is long', async (t) => {
  // Each of these makes a careless regular expression quadratic: minutes for a line of this length.
  const pieces = [
    '*',
    '**a',
    '[',
    '[a](',
    '\\[',
    '`',
    '_a ',
    '~~',
    '&#',
    '<a ',
    '<!--',
    '[00:',
    '[1:1\\\\',
    ' **Aa Bb:**',
    '![',
    '* ',
    ':',
  ]
  for (const piece of pieces) {
    const text = `**Ann:** x ${piece.repeat(Math.floor(300_000 / piece.length))}`
    t.equal(readMarkdown(text, 'talk.md').transcript.utterances[0]?.speaker, 'Ann', piece)
  }
})
