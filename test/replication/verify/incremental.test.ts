import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import type { IncrementalVerification } from '../../../replication/verify/incremental.ts'
import { IncrementalVerifier } from '../../../replication/verify/incremental.ts'
import { createReplication, insertTalk, plant, type Replication } from '../support.ts'
import { said } from './plants.ts'

/** Terms 0 to 9,999 of model 1: with a share of a quarter, 2,500 are looked at in turn. */
const terms = 10_000
let pair: Replication

t.before(async () => {
  pair = await createReplication(t)
  for (let id = 1; id <= 5; id += 1) await insertTalk(pair.primary, { id })
  await pair.primary.query(
    `insert into model_terms select 1, i, '[1,2,3]' from generate_series(0, $1 - 1) i`,
    [terms],
  )
  await pair.primary.query('insert into collection (documents, average_length) values (1, 1)')
  await waitForCloud(pair)
})

/** One that has run in full once. */
async function startVerifier(t: Test, options = {}): Promise<IncrementalVerifier> {
  const verifier = new IncrementalVerifier({ ...pair, shareOfRest: 1 / 4, ...options })
  t.teardown(() => verifier.close())
  const results = await verifier.verify()
  t.strictSame(said(results), { proven: [], undetermined: [] }, 'the first run')
  t.ok(results.every((one) => one.isFull))
  return verifier
}

async function written(sql: string): Promise<void> {
  await pair.primary.query(sql)
  await waitForCloud(pair)
}

function of(results: readonly IncrementalVerification[], table: string): IncrementalVerification | undefined {
  return results.find((one) => one.table === table)
}

interface Watch {
  pid: number
  confirmed: string
  held: string
}

async function watches(): Promise<Watch[]> {
  const { rows } = await pair.primary.query<Watch>(
    `select active_pid as "pid", confirmed_flush_lsn as "confirmed", restart_lsn as "held" from pg_replication_slots
     where database = current_database() and slot_name like 'hpverify%'`,
  )
  return rows
}

t.test('after a full run only what was written is compared, and a share of the rest', async (t) => {
  const verifier = await startVerifier(t)
  const fullAt = `select full_at::text from verifications where table_name = 'model_terms' and verdict = 'match'`
  const before = await pair.primary.query(fullAt)
  t.equal(before.rows.length, 1)
  await written(`update model_terms set basis = '[1,2,4]' where term between 9000 and 9009`)
  const results = await verifier.verify()
  t.match(of(results, 'model_terms'), {
    verdict: 'match',
    isFull: false,
    comparedRows: 2510,
    primaryRows: terms,
    cloudRows: terms,
  })
  t.strictSame((await pair.primary.query(fullAt)).rows, before.rows, 'not every row was proven since')
  const full = await verifier.verify({ full: true })
  t.ok(full.every((one) => one.isFull && one.verdict === 'match'))
  t.notSame((await pair.primary.query(fullAt)).rows, before.rows)
  t.equal((await watches()).length, 1, 'one watch, however many runs')
  await verifier.close()
  t.strictSame(await watches(), [])
})

t.test('a written row that is wrong in the cloud is named in the next run', async (t) => {
  const verifier = await startVerifier(t, { record: false })
  await written(`update model_terms set basis = '[1,2,5]' where term = 9500`)
  await plant(pair.cloud, `update model_terms set basis = '[1,2,3]' where term = 9500`)
  t.strictSame(said(await verifier.verify()).proven, ['model_terms changed 1 9500 basis'])
  const again = await verifier.verify()
  t.strictSame(said(again).proven, ['model_terms changed 1 9500 basis'], 'until it is repaired')
  t.equal(of(again, 'model_terms')?.isFull, true)
  await plant(pair.cloud, `update model_terms set basis = '[1,2,5]' where term = 9500`)
  t.match(of(await verifier.verify(), 'model_terms'), { verdict: 'match', isFull: true })
  t.match(of(await verifier.verify(), 'model_terms'), { verdict: 'match', isFull: false })
})

t.test(
  'an edit in the cloud alone is found when its turn comes, before every row was looked at twice',
  async (t) => {
    const plants = [
      [`update model_terms set basis = '[1,2,9]' where term = 10`, 'changed 1 10 basis', 1],
      [`insert into model_terms values (0, 7, '[1,2,3]')`, 'extra 0 7', 1],
      [`delete from model_terms where term = 5001`, 'missing 1 5001', 3],
      [`insert into model_terms values (1, 900000, '[1,2,3]')`, 'extra 1 900000', 4],
    ] as const
    for (const [sql, difference, turn] of plants) {
      const verifier = await startVerifier(t, { record: false })
      await plant(pair.cloud, sql)
      for (let run = 1; run < turn; run += 1) {
        const early = await verifier.verify()
        t.strictSame(said(early), { proven: [], undetermined: [] })
        t.match(of(early, 'model_terms'), { isFull: false, comparedRows: 2500 })
      }
      t.strictSame(said(await verifier.verify()).proven, [`model_terms ${difference}`], `in run ${turn}`)
      await verifier.close()
      await plant(
        pair.cloud,
        `delete from model_terms where model_id = 0 or term = 900000 or term in (10, 5001);
       insert into model_terms values (1, 10, '[1,2,3]'), (1, 5001, '[1,2,3]')`,
      )
    }
    const verifier = await startVerifier(t, { record: false })
    for (let run = 0; run < 5; run += 1) await verifier.verify()
    await plant(pair.cloud, `update model_terms set basis = '[1,2,9]' where term = 10`)
    const found: string[] = []
    for (let run = 0; run < 4; run += 1) found.push(...said(await verifier.verify()).proven)
    t.ok(found.includes('model_terms changed 1 10 basis'), 'from any turn on')
    await plant(pair.cloud, `update model_terms set basis = '[1,2,3]' where term = 10`)
  },
)

t.test(
  'rows that came, went, left the publication or got another key are counted and compared',
  async (t) => {
    await pair.primary.query(
      `insert into sources (id, kind, title, visibility, transcript_method, processed_at)
     select id, 'video', 'a talk', 'public', 'transcript', now() from generate_series(21, 24) id`,
    )
    await written(`delete from model_terms where term >= ${terms}`)
    const verifier = await startVerifier(t, { record: false })
    await insertTalk(pair.primary, { id: 25 })
    await written(
      `delete from sources where id = 21;
     update sources set visibility = 'private' where id = 22;
     update model_terms set term = 20001 where term = 9998;
     insert into model_terms values (1, 20002, '[1,2,3]'), (1, 20003, '[1,2,3]');
     delete from model_terms where term in (9997, 20003);
     truncate collection; insert into collection (documents, average_length) values (2, 1)`,
    )
    const results = await verifier.verify()
    t.strictSame(said(results), { proven: [], undetermined: [] })
    const { rows } = await pair.primary.query<{ sources: number; terms: number }>(
      `select (select count(*)::int from sources where visibility = 'public') as "sources",
       (select count(*)::int from model_terms) as "terms"`,
    )
    const counted = ['sources', 'model_terms'].map((table) => {
      const one = of(results, table)
      return [one?.isFull, one?.primaryRows, one?.cloudRows]
    })
    t.strictSame(counted, [
      [false, rows[0]?.sources, rows[0]?.sources],
      [false, rows[0]?.terms, rows[0]?.terms],
    ])
    t.equal(of(results, 'collection')?.isFull, true, 'it was written as a whole')

    // As if the cloud had missed them.
    await insertTalk(pair.primary, { id: 26 })
    await written(
      `delete from sources where id = 23; update sources set visibility = 'private' where id = 24;
     update model_terms set term = 20004 where term = 9996; delete from model_terms where term = 9995`,
    )
    await plant(
      pair.cloud,
      `insert into sources (id, kind, title, visibility, transcript_method, processed_at)
       values (23, 'video', 'a talk', 'public', 'transcript', now()), (24, 'video', 'a talk', 'public', 'transcript', now());
     insert into model_terms values (1, 9996, '[1,2,3]'), (1, 9995, '[1,2,3]');
     delete from model_terms where term = 20004; delete from embeddings where segment_id = 26`,
    )
    const drifted = await verifier.verify()
    t.strictSame(said(drifted).proven, [
      'embeddings missing 1 26',
      'model_terms extra 1 9995',
      'model_terms extra 1 9996',
      'model_terms missing 1 20004',
      'sources extra 23',
      'sources extra 24',
    ])
    const [ours = 0, theirs = 0] = [
      of(drifted, 'model_terms')?.primaryRows,
      of(drifted, 'model_terms')?.cloudRows,
    ]
    t.equal(theirs - ours, 1)
    await plant(
      pair.cloud,
      `delete from sources where id in (23, 24); delete from model_terms where term in (9995, 9996);
     insert into model_terms values (1, 20004, '[1,2,3]')`,
    )
    await written(`delete from embeddings where segment_id = 26`)
  },
)

t.test('a watch keeps no log on the primary', async (t) => {
  const verifier = await startVerifier(t, { record: false })
  // The one of the test before may still be on its way out.
  for (let wait = 0; wait < 100 && (await watches()).length !== 1; wait += 1) await sleep(20)
  const [before] = await watches()
  const start = performance.now()
  let after: Watch | undefined
  do {
    await pair.primary.query(`insert into tombstones (segment_id) select 1 from generate_series(1, 1000)`)
    // It writes down which transactions run: only from there on can log be let go.
    await pair.primary.query('checkpoint')
    await sleep(300)
    ;[after] = await watches()
  } while (after?.held === before?.held && performance.now() - start < 60_000)
  const passed = await pair.primary.query<{ held: boolean; confirmed: boolean }>(
    `select $1::pg_lsn > $2::pg_lsn as "held", $3::pg_lsn > $4::pg_lsn as "confirmed"`,
    [after?.held, before?.held, after?.confirmed, before?.confirmed],
  )
  t.strictSame(passed.rows, [{ held: true, confirmed: true }])
  t.match(of(await verifier.verify(), 'tombstones'), { verdict: 'match' })
})

t.test('without its watch a run is full again', async (t) => {
  const verifier = await startVerifier(t, { record: false })
  const [watch] = await watches()
  await pair.primary.query('select pg_terminate_backend($1)', [watch?.pid])
  for (let wait = 0; wait < 100 && (await watches()).length > 0; wait += 1) await sleep(20)
  await plant(pair.cloud, `update model_terms set basis = '[1,2,9]' where term = 9001`)
  const results = await verifier.verify()
  t.ok(results.every((one) => one.isFull))
  t.strictSame(said(results).proven, ['model_terms changed 1 9001 basis'])
  await plant(pair.cloud, `update model_terms set basis = '[1,2,4]' where term = 9001`)
})

t.test('what was emptied in the cloud, or written in most rows, is compared in full', async (t) => {
  const verifier = await startVerifier(t, { record: false })
  await written(`update model_terms set basis = '[1,2,6]' where term < 3000`)
  t.match(of(await verifier.verify(), 'model_terms'), { verdict: 'match', isFull: true })
  await plant(pair.cloud, 'truncate model_terms')
  const emptied = of(await verifier.verify(), 'model_terms')
  t.match(emptied, { verdict: 'drift', isFull: true, cloudRows: 0 })
  await written('delete from model_terms')
})

t.test('a run that finds the cloud behind leaves everything to the next', async (t) => {
  await written(`insert into model_terms select 1, i, '[1,2,3]' from generate_series(0, ${terms - 1}) i`)
  const verifier = await startVerifier(t, { record: false })
  await pair.cloud.query('alter subscription homeport disable')
  await pair.primary.query(`update model_terms set basis = '[1,2,7]' where term = 9100`)
  const behind = await verifier.verify()
  t.match(of(behind, 'model_terms'), { verdict: 'undetermined', reason: 'the subscription is switched off' })
  await pair.cloud.query('alter subscription homeport enable')
  await waitForCloud(pair)
  await plant(pair.cloud, `update model_terms set basis = '[1,2,3]' where term = 9100`)
  const stop = new AbortController()
  const stopped = verifier.verify({
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('stopped here')),
  })
  await t.rejects(stopped, { message: 'stopped here' })
  const results = await verifier.verify()
  t.match(of(results, 'model_terms'), { isFull: false })
  t.strictSame(said(results).proven, ['model_terms changed 1 9100 basis'])
  t.equal((await watches()).length, 1)
})
