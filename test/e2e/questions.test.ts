import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createGenerationKeeper } from '../../api/search/generation.ts'
import { PostgresEngine, searchSessionSettings } from '../../api/search/hybrid.ts'
import { createPool } from '../../core/db.ts'
import { createLog } from '../../core/log.ts'
import { runCaptions } from '../../ingest/commands/captions-run.ts'
import { createDatabase } from '../support/databases.ts'

interface Question {
  question: string
  talk: string
  startSeconds: number
  endSeconds: number
}

const sample = fileURLToPath(new URL('../../sample/', import.meta.url))
const questions = JSON.parse(readFileSync(`${sample}questions.json`, 'utf8')) as Question[]
const titleOf = (talk: string): string =>
  (JSON.parse(readFileSync(`${sample}talks/${talk}.info.json`, 'utf8')) as { title: string }).title

t.test('a question about the sample finds its moment', async (t) => {
  const url = await createDatabase(t, 'primary')
  const report = await runCaptions({
    paths: [`${sample}talks`],
    connectionString: url,
    prune: false,
    yes: false,
    dryRun: false,
    signal: new AbortController().signal,
    out: {
      result: () => undefined,
      screen: () => undefined,
      note: () => undefined,
      progress: () => undefined,
    },
    isTerminal: false,
  })
  t.same(report.failures, [])

  const pool = createPool({
    connectionString: url,
    applicationName: 'test',
    sessionSettings: searchSessionSettings,
  })
  const generations = createGenerationKeeper({
    pool,
    log: createLog({ name: 'test', level: 'silent' }),
    openSentenceModel: () => Promise.reject(new Error('there is no sentence model here')),
  })
  t.teardown(async () => {
    await generations.close()
    await pool.end()
  })
  await generations.refresh()
  const engine = new PostgresEngine({ pool, generations })

  const ranks: number[] = []
  for (const { question, talk, startSeconds, endSeconds } of questions) {
    const { hits } = await engine.search({ query: question, limit: 10, offset: 0 })
    const title = titleOf(talk)
    const at = hits.findIndex(
      ({ row }) =>
        row.source.title === title &&
        (row.startMs ?? 0) / 1000 < endSeconds &&
        (row.endMs ?? 0) / 1000 > startSeconds,
    )
    ranks.push(at < 0 ? Infinity : at)
  }
  const within = (top: number): number => ranks.filter((rank) => rank < top).length / ranks.length
  t.comment(
    `first ${within(1).toFixed(2)}, in the first three ${within(3).toFixed(2)}, in ten ${within(10).toFixed(2)}`,
  )
  // Measured: 0.78, 0.88 and 0.97. Lower than this would be a worse search, not noise: nothing here is random.
  t.ok(
    within(1) >= 0.75,
    `the right segment comes first for three questions of four (${within(1).toFixed(2)})`,
  )
  t.ok(within(3) >= 0.85, `is among the first three for 85 of 100 (${within(3).toFixed(2)})`)
  t.ok(within(10) >= 0.95, `and among the first ten for 95 of 100 (${within(10).toFixed(2)})`)
})
