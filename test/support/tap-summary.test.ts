import t from 'tap'
import { createTapSummary } from './tap-summary.ts'

const output = `TAP version 14
1..3
# Subtest: test/a.test.ts
    # Subtest: outer
        ok 1 - should be equal
        ok 2 - should be equal
        1..2
    ok 1 - outer # time=5.1ms
    
    ok 2 - later # SKIP no inputs here
    1..2
    # time=8ms
ok 1 - test/a.test.ts # time=1284.17ms

# Subtest: test/b.test.ts
    # Subtest: inner
        ok 1 - fine
        not ok 2 - one is two
          ---
          diff: |
            -2
            +1
          ...
        1..2
    not ok 1 - inner # time=3ms
    words of the test
    1..1
not ok 2 - test/b.test.ts # time=9ms

ok 3 - test/c.test.ts # time=9ms

# No coverage generated
# { total: 5, pass: 3, fail: 1, skip: 1 }
# time=91ms
`

t.test('one line a file, the whole of what failed, and the totals of tap', async (t) => {
  // Text arrives in pieces of any size.
  for (const size of [1, 7, output.length]) {
    const printed: string[] = []
    const summary = createTapSummary((text) => printed.push(text))
    for (let at = 0; at < output.length; at += size) summary.write(output.slice(at, at + size))
    t.strictSame(summary.end(), { passed: 3, failed: 1, skipped: 1 })
    t.equal(printed[0], 'ok         3  test/a.test.ts  1.3 s')
    t.equal(printed[1]?.trim(), 'skipped: later # SKIP no inputs here')
    t.equal(printed[2], 'NOT OK     2  test/b.test.ts  0.0 s')
    const failed = printed.slice(3, -1).map((line) => line.trim())
    for (const line of ['not ok 2 - one is two', '-2', '+1', 'words of the test']) {
      t.ok(failed.includes(line), line)
    }
    t.notOk(failed.includes('ok 1 - fine'))
    t.equal(printed.at(-1), 'ok         0  test/c.test.ts  0.0 s')
  }
})

t.test('what no file said is not lost', async (t) => {
  const printed: string[] = []
  const summary = createTapSummary((text) => printed.push(text))
  summary.write('TAP version 14\nNo valid test files found')
  t.strictSame(summary.end(), { passed: 0, failed: 0, skipped: 0 })
  t.strictSame(printed, ['No valid test files found'])
})
