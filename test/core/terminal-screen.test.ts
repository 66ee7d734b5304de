import t from 'tap'
import { drawScreen, fitScreen } from '../../core/terminal-screen.ts'

t.test('what fits is drawn whole, in place of what was there', async (t) => {
  const drawn = drawScreen('one\ntwo', { rows: 24, columns: 80 })
  t.equal(drawn, '\u001b[Hone\u001b[K\ntwo\u001b[K\n\u001b[J')
})

t.test('what does not fit is cut, and said', async (t) => {
  const lines = Array.from({ length: 10 }, (_, place) => `line ${place}`)
  t.strictSame(fitScreen(lines, { rows: 11, columns: 80 }), lines, 'the cursor has the last row')
  const cut = fitScreen(lines, { rows: 10, columns: 80 })
  t.equal(cut.length, 9)
  t.strictSame(cut.slice(0, -1), lines.slice(0, 8))
  t.equal(cut.at(-1), '… 2 more lines: make the window taller')
})

t.test('a line that wraps takes as many rows', async (t) => {
  const lines = ['a'.repeat(25), '', 'b'.repeat(10), 'c']
  t.strictSame(fitScreen(lines, { rows: 7, columns: 10 }), lines)
  t.strictSame(fitScreen(lines, { rows: 6, columns: 10 }), ['a'.repeat(25), '', '… 2 more l'])
  t.equal(fitScreen(lines, { rows: 1, columns: 10 }).length, 1)
})
