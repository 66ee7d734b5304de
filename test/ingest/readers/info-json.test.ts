import t from 'tap'
import { parseSourceInfo, readSourceMetadata, titleFromFileName } from '../../../ingest/readers/info-json.ts'
import type { Transcript } from '../../../ingest/transcript.ts'

const transcript: Transcript = {
  utterances: [],
  chapters: [{ title: 'Own', startMs: null, firstUtterance: 0 }],
  method: 'transcript',
  engine: 'markdown',
}
const info = {
  id: 'abc',
  title: ' A  talk ',
  webpage_url: 'https://www.youtube.com/watch?v=abc',
  channel: 'Channel',
  upload_date: '20260216',
  duration: 339.5,
  view_count: 15204,
  availability: 'public',
  language: 'en',
  chapters: [{ title: 'One', start_time: 0, end_time: 27 }, { start_time: 27.25 }],
}
function read(fields: object) {
  return readSourceMetadata(JSON.stringify({ ...info, ...fields }), 'talks/v.en.vtt', transcript)
}

t.test('reads what yt-dlp writes', async (t) => {
  t.same(read({}), {
    kind: 'video',
    url: 'https://www.youtube.com/watch?v=abc',
    title: 'A talk',
    channel: 'Channel',
    language: 'en',
    durationMs: 339_500,
    publishedAt: new Date('2026-02-16T00:00:00Z'),
    views: 15204,
    visibility: 'public',
    chapters: [
      { title: 'One', startMs: 0 },
      { title: 'Chapter 2', startMs: 27_250 },
    ],
  })
  t.equal(parseSourceInfo(JSON.stringify(info), 'v.info.json').id, 'abc')
  t.same(read({ timestamp: 1771200000 }).publishedAt, new Date(1771200000_000))
  t.same(read({ chapters: null }).chapters, transcript.chapters)
})

t.test('anything neither public nor unlisted is private', async (t) => {
  const cases: [unknown, string][] = [
    ['public', 'public'],
    [null, 'public'],
    ['unlisted', 'unlisted'],
    ['private', 'private'],
    ['needs_auth', 'private'],
    ['subscriber_only', 'private'],
    ['premium_only', 'private'],
    ['something new', 'private'],
  ]
  for (const [availability, visibility] of cases) t.equal(read({ availability }).visibility, visibility)
  t.equal(readSourceMetadata('{}', 'v.vtt', transcript).visibility, 'public')
})

t.test('a field that makes no sense is named', async (t) => {
  const cases: [object, RegExp][] = [
    [{ title: 5 }, /"title" is not text/],
    [{ title: 'a\0b' }, /"title" holds a NUL/],
    [{ webpage_url: 'javascript:alert(1)' }, /"webpage_url" is not a web address/],
    [{ duration: '339' }, /"duration" is not a number/],
    [{ duration: -1 }, /"duration" is out of range/],
    [{ duration: 1e9 }, /"duration" is out of range/],
    [{ view_count: 1.5 }, /"view_count" is not a whole number/],
    [{ upload_date: '20260231' }, /"upload_date" is not a date/],
    [{ upload_date: 'soon' }, /"upload_date" is not a date/],
    [{ availability: 5 }, /"availability" is not text/],
    [{ chapters: 'x' }, /"chapters" is not a list/],
    [{ chapters: [1] }, /"chapters\[0\]" is not an object/],
    [{ chapters: [{ title: 'x' }] }, /"chapters\[0\]\.start_time" is missing/],
  ]
  for (const [fields, reason] of cases) {
    t.throws(() => read(fields), { code: 'MALFORMED_METADATA', file: 'v.info.json', reason })
  }
  t.throws(() => readSourceMetadata('[]', 'v.vtt', transcript), { code: 'MALFORMED_METADATA' })
  t.throws(() => readSourceMetadata('{', 'v.vtt', transcript, { infoPath: 'x/v.info.json' }), {
    code: 'MALFORMED_METADATA',
    file: 'x/v.info.json',
  })
})

t.test('without metadata the transcript and the name speak', async (t) => {
  t.match(readSourceMetadata(undefined, 'x/the-changelog-103.md', transcript), {
    kind: 'recording',
    url: null,
    title: 'The Changelog 103',
    visibility: 'public',
    chapters: transcript.chapters,
  })
  t.equal(readSourceMetadata(undefined, 'x/a.md', { ...transcript, title: 'Own title' }).title, 'Own title')
  const names: [string, string][] = [
    ['ship-it-18.md', 'Ship It 18'],
    ['My Talk [dQw4w9WgXcQ].en.vtt', 'My Talk'],
    ['snake_case_talk.srt', 'snake case talk'],
    ['étude.srt', 'Étude'],
    ['-.md', '-'],
  ]
  for (const [name, title] of names) t.equal(titleFromFileName(name), title)
})
