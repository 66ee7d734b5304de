import t from 'tap'
import { ProblemError } from '../../../core/http/problem.ts'
import { parseSearchQuery } from '../../../api/routes/search-query.ts'

void t.test('what is understood', async (t) => {
  t.same(parseSearchQuery('q=slots'), { q: 'slots', limit: 10, offset: 0 })
  t.same(parseSearchQuery('limit=100&offset=500&q=%20a+b%20'), { q: 'a b', limit: 100, offset: 500 })
  t.same(parseSearchQuery('q=%E6%9D%B1%E4%BA%AC&limit=1'), { q: '東京', limit: 1, offset: 0 })
  t.equal(parseSearchQuery(`q=${'a'.repeat(1000)}`).q.length, 1000)
  t.equal(parseSearchQuery("q='; drop table sources; --").q, "'; drop table sources; --")
})

void t.test('what is refused', async (t) => {
  const cases: [raw: string, code: string, field: string | undefined][] = [
    ['', 'QUERY_MISSING', 'q'],
    ['limit=5', 'QUERY_MISSING', 'q'],
    ['q=', 'QUERY_EMPTY', 'q'],
    ['q', 'QUERY_EMPTY', 'q'],
    ['q=%20%09+%E3%80%80', 'QUERY_EMPTY', 'q'],
    [`q=${'a'.repeat(1001)}`, 'QUERY_TOO_LONG', 'q'],
    [`q=${'a'.repeat(10_000)}`, 'QUERY_TOO_LONG', 'q'],
    ['q=a%00b', 'QUERY_INVALID', 'q'],
    ['q=%ED%A0%80', 'FIELD_ENCODING', 'q'],
    ['q=%', 'FIELD_ENCODING', 'q'],
    ['q=%FF', 'FIELD_ENCODING', 'q'],
    ['q=a\ud800b', 'QUERY_INVALID', 'q'],
    ['q=a&q=b', 'FIELD_REPEATED', 'q'],
    ['q=a&limit=0', 'FIELD_INVALID', 'limit'],
    ['q=a&limit=101', 'FIELD_INVALID', 'limit'],
    ['q=a&limit=abc', 'FIELD_INVALID', 'limit'],
    ['q=a&limit=', 'FIELD_INVALID', 'limit'],
    ['q=a&limit=1e1', 'FIELD_INVALID', 'limit'],
    ['q=a&limit=+5', 'FIELD_INVALID', 'limit'],
    ['q=a&limit=05', 'FIELD_INVALID', 'limit'],
    ['q=a&offset=-1', 'FIELD_INVALID', 'offset'],
    ['q=a&offset=501', 'FIELD_INVALID', 'offset'],
    ['q=a&offset=1.5', 'FIELD_INVALID', 'offset'],
    ['q=a&sort=x', 'FIELD_UNKNOWN', 'sort'],
    ['q=a&Q=b', 'FIELD_UNKNOWN', 'Q'],
    ['q=a&__proto__=b', 'FIELD_UNKNOWN', '__proto__'],
    ['q[]=a', 'FIELD_UNKNOWN', 'q[]'],
  ]
  for (const [raw, code, field] of cases) {
    try {
      parseSearchQuery(raw)
      t.fail(`${raw} was taken`)
    } catch (error) {
      t.ok(error instanceof ProblemError, raw)
      const { problem } = error as ProblemError
      t.match(problem, { status: 400, code, field }, raw.slice(0, 40))
    }
  }
})
