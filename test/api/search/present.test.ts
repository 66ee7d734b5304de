import t from 'tap'
import type { RankedHit, SegmentRow } from '../../../api/search/engine.ts'
import { linkTo, momentOf, presentHit } from '../../../api/search/present.ts'
import { wordFinder } from '../../../core/words.ts'

const row: SegmentRow = {
  text: 'We began with disks.\n"Replication slots" keep the WAL, and a slot can fill a disk.',
  speaker: 'Ann',
  chapter: null,
  turns: [
    { speaker: 'Ann', offset: 0, startMs: 60_000 },
    { speaker: 'Ben', offset: 21, startMs: 64_000 },
  ],
  startMs: 60_000,
  endMs: 80_000,
  wordStartsMs: [
    0, 500, 900, 1_400, 4_000, 4_600, 5_000, 5_200, 5_300, 6_000, 6_100, 6_200, 6_600, 6_900, 7_000, 7_100,
  ],
  source: {
    id: '5',
    kind: 'video',
    url: 'https://www.youtube.com/watch?v=abc',
    title: 'Slots',
    channel: null,
    publishedAt: new Date('2026-01-02T03:04:05Z'),
    durationMs: 100_000,
  },
}
const hit: RankedHit = { segmentId: '7', score: 0.123456789, scores: { words: 3, vector: 0.5 }, row }

void t.test('highlights are the words of the question, in whatever form', async (t) => {
  const presented = presentHit(hit, wordFinder('how does a replicated slot work'))
  t.same(
    presented.highlights.map(([start, end]) => row.text.slice(start, end)),
    ['Replication', 'slots', 'slot'],
  )
  t.equal(presented.momentMs, 64_000, 'the quoted word is the fifth')
  t.equal(presented.link, 'https://www.youtube.com/watch?v=abc&t=64s')
  t.equal(presented.score, 0.123457)
  t.equal(presented.source.publishedAt, '2026-01-02T03:04:05.000Z')
})

void t.test('the moment is that of the densest passage', async (t) => {
  const text = `slot ${'filler '.repeat(60)}replication slot here`
  const words = text.split(' ').length
  const dense = {
    ...hit,
    row: { ...row, text, turns: [], wordStartsMs: Array.from({ length: words }, (_, at) => at * 1000) },
  }
  t.equal(presentHit(dense, wordFinder('replication slot')).momentMs, 60_000 + 61 * 1000)
})

void t.test('pairs of an unspaced script are one range', async (t) => {
  const text = '今日は東京都に行く'
  const presented = presentHit({ ...hit, row: { ...row, text, wordStartsMs: null } }, wordFinder('東京都'))
  t.same(
    presented.highlights.map(([start, end]) => text.slice(start, end)),
    ['東京都'],
  )
})

void t.test('when a character is said', async (t) => {
  const second = row.text.indexOf('slots')
  const cases: [name: string, change: Partial<SegmentRow>, offset: number | null, expected: number | null][] =
    [
      ['no passage', {}, null, 60_000],
      ['first word', {}, 0, 60_000],
      ['inside a quoted word', {}, row.text.indexOf('Replication'), 64_000],
      ['by its word', {}, second, 64_600],
      ['by its turn', { wordStartsMs: null }, second, 64_000],
      ['words that run out', { wordStartsMs: [0] }, second, 64_000],
      [
        'by the segment',
        { wordStartsMs: null, turns: [{ speaker: null, offset: 0, startMs: null }] },
        second,
        60_000,
      ],
      ['no times at all', { wordStartsMs: null, turns: [], startMs: null }, second, null],
    ]
  for (const [name, change, offset, expected] of cases) {
    t.equal(momentOf({ ...row, ...change }, offset), expected, name)
  }
})

void t.test('links', async (t) => {
  const cases: [address: string | null, momentMs: number | null, expected: string | null][] = [
    ['https://youtu.be/abc?si=1', 83_999, 'https://youtu.be/abc?si=1&t=83s'],
    ['https://www.youtube.com/watch?v=a&t=5s', 83_000, 'https://www.youtube.com/watch?v=a&t=83s'],
    ['https://example.org/talk.mp4', 83_000, 'https://example.org/talk.mp4#t=83'],
    ['https://notyoutube.com/watch?v=a', 1_000, 'https://notyoutube.com/watch?v=a#t=1'],
    ['https://example.org/talk', null, 'https://example.org/talk'],
    ['javascript:alert(1)', 1_000, null],
    ['data:text/html,x', 1_000, null],
    ['not an address', 1_000, null],
    [null, 1_000, null],
  ]
  for (const [address, momentMs, expected] of cases)
    t.equal(linkTo(address, momentMs), expected, String(address))
})
