import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type pg from 'pg'
import { pick, randomNumbers } from '../../../support/random.ts'
import { temporaryFolder } from '../../../support/api.ts'
import { queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { runOps } from '../../../support/relay-pair.ts'
import { createRelaySetup, opsSettings } from '../setup/support.ts'
import type { SeedProcessOrder } from './seed-process.ts'
import { fillTalks } from './support.ts'

const script = fileURLToPath(new URL('seed-process.ts', import.meta.url))

/** A seeding process; how it ended, and what it said. */
function runSeedProcess(
  order: SeedProcessOrder,
  killAfterMs: number | null,
): Promise<{ signal: string | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), script, JSON.stringify(order)],
      (_, stdout, stderr) => resolve({ signal: child.signalCode, stdout, stderr }),
    )
    if (killAfterMs !== null) setTimeout(() => child.kill('SIGKILL'), killAfterMs).unref()
  })
}

/** Every kind of change, at random, one transaction after another, until it is told to stop. */
async function keepWriting(primary: pg.Pool, random: () => number, signal: AbortSignal): Promise<number> {
  let written = 0
  let next = 10_000
  const anyTalk = (): number => 1 + pick(random, 1500)
  const kinds: (() => Promise<unknown>)[] = [
    () => fillTalks(primary, (next += 3), next + 2),
    () => primary.query('delete from sources where id = $1', [anyTalk()]),
    () => primary.query(`update segments set text = 'written ' || $2 where id = $1`, [anyTalk(), written]),
    () => primary.query(`update segments set chapter = 'chapter ' || $2 where id = $1`, [anyTalk(), written]),
    async () => {
      const again = anyTalk()
      await primary.query('delete from sources where id = $1', [again])
      await fillTalks(primary, again, again)
    },
    () =>
      primary.query(
        'insert into lexicon values ($1, 1) on conflict (term) do update set documents = lexicon.documents + 1',
        [pick(random, 50)],
      ),
    () => primary.query('delete from embeddings where segment_id = $1', [anyTalk()]),
  ]
  while (!signal.aborted) {
    await kinds[pick(random, kinds.length)]?.()
    written += 1
  }
  return written
}

const seed = Number(process.env['HOMEPORT_SEED'] ?? 1)

t.test(
  `killed at random ranges while the primary is written to, then resumed: nothing is missing (HOMEPORT_SEED=${seed})`,
  async (t) => {
    const random = randomNumbers(seed)
    const pair = await createRelaySetup(t)
    await fillTalks(pair.primary, 1, 1500)
    const stop = new AbortController()
    const writing = keepWriting(pair.primary, random, stop.signal)
    const order = { urls: pair.urls, rangeRows: 100, jobs: 3 }
    let kills = 0
    for (const killAfter of [1 + pick(random, 10), 1 + pick(random, 15), 1 + pick(random, 20)]) {
      const outcome = await runSeedProcess({ ...order, killAfter }, null)
      t.equal(outcome.signal, 'SIGKILL', outcome.stderr)
      kills += 1
    }
    const progress = await queryRows<{ state: string; copied: number; all: number; snapshots: number }>(
      pair.cloudUrl,
      `select p.state, count(r.snapshot_lsn)::int as copied, count(*)::int as all, count(distinct r.snapshot_lsn)::int as snapshots
     from relay_progress p join relay_ranges r using (slot) group by 1`,
    )
    t.match(progress, [{ state: 'seeding' }])
    t.ok((progress[0]?.copied ?? 0) < (progress[0]?.all ?? 0))
    t.ok((progress[0]?.snapshots ?? 0) > 1, 'copied at different positions')
    // In the middle of a range, too, and anywhere else.
    await runSeedProcess({ ...order, killAfter: null }, 1500 + pick(random, 1500))
    const last = await runSeedProcess({ ...order, killAfter: null }, null)
    t.match(last, { signal: null, stderr: '' })
    await sleep(200)
    stop.abort()
    t.ok((await writing) > 0)
    const settled = await queryRows(pair.cloudUrl, 'select from relay_tables')
    t.ok(settled.length > 0, `after ${kills} kills tables lie at later positions than the stream`)

    await runOps({
      args: ['relay', '--until-caught-up'],
      settings: { ...opsSettings(pair), RELAY_STATE_PATH: temporaryFolder(t), RELAY_PORT: '0' },
    })
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])
    const index = await queryRows(
      pair.cloudUrl,
      `select from pg_indexes where indexname = 'embeddings_model_1'`,
    )
    t.equal(index.length, 1, 'the vector index was built')
  },
)
