import t from 'tap'
import type { Output } from '../../core/cli.ts'
import { describeProgress, Progress, remainingMs } from '../../ingest/progress.ts'

function recorder(): { out: Output; lines: string[] } {
  const lines: string[] = []
  return {
    lines,
    out: {
      result: () => undefined,
      screen: () => undefined,
      note: (text) => lines.push(`note ${text}`),
      progress: (text) => lines.push(`line ${text}`),
    },
  }
}

t.test('rate and what is left follow from what was done', async (t) => {
  t.equal(remainingMs({ done: 0, total: 9, elapsedMs: 500 }), undefined)
  t.equal(remainingMs({ done: 1, total: 3, elapsedMs: 500 }), 1000)
  t.equal(remainingMs({ done: 3, total: 3, elapsedMs: 500 }), 0)
  const produced = { count: 5000, unit: 'segments' }
  t.equal(
    describeProgress({ label: 'captions', done: 100, total: 1300, elapsedMs: 2000, produced }),
    'captions  100/1,300  2,500 segments/s  about 24 s left',
  )
  t.equal(describeProgress({ label: 'fit', done: 0, total: 6, elapsedMs: 0 }), 'fit  0/6')
})

t.test('a terminal sees a line that changes, ten times a second at most', async (t) => {
  const { out, lines } = recorder()
  let now = 0
  const progress = new Progress({ out, isTerminal: true, nowMs: () => now })
  for (; now <= 1000; now += 10) progress.show({ label: 'captions', done: now, total: 2000 })
  t.equal(lines.length, 11)
  t.ok(lines.every((line) => line.startsWith('line captions')))
})

t.test('a log sees a line every few seconds, and none for what is quick', async (t) => {
  const { out, lines } = recorder()
  let now = 0
  const progress = new Progress({ out, isTerminal: false, nowMs: () => now })
  for (; now < 4000; now += 10) progress.show({ label: 'comparing', done: now, total: 4000 })
  for (; now <= 16_000; now += 10) progress.show({ label: 'captions', done: now, total: 20_000 })
  t.equal(lines.length, 2)
  t.ok(lines.every((line) => line.startsWith('note captions')))
})
