import { pino } from 'pino'
import t from 'tap'
import type { SearchAnswer } from '../../../api/search/engine.ts'
import { FailoverEngine } from '../../../api/search/failover.ts'
import { until } from '../../support/api.ts'

const answer: SearchAnswer = { source: 'postgres', hits: [], total: 0, model: null, asOf: null }
const request = { query: 'slot', limit: 10, offset: 0 }

void t.test('with nothing in memory', async (t) => {
  let up = false
  const lines: string[] = []
  const engine = new FailoverEngine({
    postgres: {
      ready: () => true,
      search: () => (up ? Promise.resolve(answer) : Promise.reject(new Error('down'))),
    },
    memory: {
      status: () => ({ ready: false, segments: 0 }),
      search: () => Promise.reject(new Error('empty')),
    },
    log: pino({}, { write: (line) => lines.push(line) }),
  })
  t.teardown(() => engine.stop())
  const logged = (text: string) => lines.filter((line) => line.includes(text)).length
  for (let at = 0; at < 50; at++) await t.rejects(engine.search(request), { code: 'NO_SOURCE' })
  t.equal(engine.source(), null)
  t.equal(logged('no search can be answered'), 1, 'said once, not to the log of every visitor')
  t.ok(logged('the database did not answer a search') <= 3)

  // The next probe lies up to 15 s ahead; a visitor's search is sooner, and does not stay the only one to know.
  up = true
  t.equal((await engine.search(request)).source, 'postgres')
  t.equal(logged('searches are answered again'), 1)
  await until(
    () => Promise.resolve(engine.source()),
    (source) => source === 'postgres',
    2_000,
  )
})
