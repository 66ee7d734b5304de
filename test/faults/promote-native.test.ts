import t, { type Test } from 'tap'
import { errorCode } from '../../core/errors.ts'
import { diffSchemas } from '../../replication/schema-diff.ts'
import { verifyExact } from '../../replication/verify/verify-exact.ts'
import { createReplication, insertTalk, segmentIds, type Replication } from '../replication/support.ts'
import { choosePort } from '../../ops/local/ports.ts'
import { queryRows } from '../support/databases.ts'
import { until } from '../support/api.ts'
import { compareRows, passFence } from '../support/oracles/equality.ts'
import { apply, insert, isMarked, promote, type Promotable } from './promote-support.ts'

function promotable(t: Test, pair: Replication, primaryUrl = pair.primaryUrl): Promotable {
  const settings = {
    LOCAL_DATABASE_URL: primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    REPLICATION_DATABASE_URL: pair.replicationUrl,
    RELAY_STATE_PATH: t.testdir(),
  }
  return { cloud: pair.cloud, settings }
}

/** Writes row after row at home, until home takes no more; how many it took. */
async function writeUntilRefused(pair: Replication, from: number): Promise<number> {
  for (let at = from; ; at += 1) {
    try {
      await pair.primary.query(insert, [at])
    } catch (error) {
      if (errorCode(error) === '25006') return at - from
      throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

// Row 57 for a subscription.
t.test('home lives: killed at every step, and run again each time, while somebody writes', async (t) => {
  const pair = await createReplication(t)
  const { primary, cloud } = pair
  for (let id = 1; id <= 5; id += 1) await insertTalk(primary, { id })
  await insertTalk(primary, { id: 6, visibility: 'private' })
  await passFence(primary, cloud)
  const to = promotable(t, pair)
  let written = 0
  for (const name of ['after-fence', 'after-drain', 'after-proof']) {
    const writing = writeUntilRefused(pair, written)
    t.equal((await promote(t, to, apply, `promote.${name}:1:kill`)).code, 137, name)
    written += await writing
    t.notOk(await isMarked(to), 'the cloud follows')
    await t.rejects(primary.query(insert, [-1]), { code: '25006' }, 'home stays fenced')
    t.equal((await promote(t, to, ['--cancel'])).code, 0)
  }
  t.equal((await promote(t, to, apply, 'promote.after-fence:1:kill')).code, 137)
  t.match(
    (await diffSchemas(pair)).differences,
    [{ code: 'HOME_FENCED', fix: { on: null, command: /ops promote --apply.*ops promote --cancel/ } }],
    'nobody is told to fence the cloud too',
  )
  t.equal((await promote(t, to, ['--cancel'])).code, 0)
  t.same((await diffSchemas(pair)).differences, [])

  const writing = writeUntilRefused(pair, written)
  let kills = 0
  let outcome = await promote(t, to, apply, 'promote.after-step:1:kill')
  written += await writing
  const { rows } = await cloud.query<{ on: boolean }>(
    `select subenabled as on from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())`,
  )
  t.same(rows, [{ on: false }], 'marked and switched off at one moment')
  for (; outcome.code === 137 && kills < 20; kills += 1) {
    t.ok(await isMarked(to))
    await t.rejects(primary.query(insert, [-1]), { code: '25006' })
    outcome = await promote(t, to, apply, 'promote.after-step:1:kill')
  }
  t.equal(outcome.code, 0, outcome.stderr)
  t.ok(kills >= 4, `killed after ${kills} steps`)
  t.match(await promote(t, to, apply), { code: 0, value: { mode: 'promoted', steps: [] } })

  const marks = await cloud.query(`select epoch::int as epoch, state from relay_progress`)
  t.same(marks.rows, [{ epoch: 1, state: 'promoted' }], 'one mark, one epoch')
  t.ok(written > 0)
  const count = 'select count(*)::int as count from lexicon where term >= 1000000'
  t.same((await cloud.query(count)).rows, [{ count: written }], 'every row that home took')
  t.same(await segmentIds(cloud), ['1', '2', '3', '4', '5'])
  const left = 'select from pg_replication_slots where database = current_database()'
  t.equal((await primary.query(left)).rowCount, 0)
  const numbers = await primary.query<{ last: string }>('select last_value as last from change_seq')
  await insertTalk(cloud, { id: 20 })
  const above = await cloud.query('select change_seq > $1::int8 as ok from segments where id = 20', [
    numbers.rows[0]?.last,
  ])
  t.same(above.rows, [{ ok: true }], 'numbers go on past all that home gave')
})

t.test('home is gone, the run is killed at the mark, and home comes back: it writes nothing', async (t) => {
  const pair = await createReplication(t)
  const { primary, cloud } = pair
  await insertTalk(primary, { id: 1 })
  await passFence(primary, cloud)
  const role = new URL(pair.replicationUrl).username
  // Nobody reaches home: neither the subscription nor this machine.
  await primary.query(`alter role ${role} nologin`)
  await primary.query(`select pg_terminate_backend(active_pid) from pg_replication_slots
    where active and database = current_database()`)
  const worker = `select from pg_stat_subscription where pid is not null
    and subid = (select oid from pg_subscription where subdbid = (select oid from pg_database where datname = current_database()))`
  await until(
    async () => (await cloud.query(worker)).rowCount,
    (count) => count === 0,
  )
  const nobody = new URL(pair.primaryUrl)
  nobody.search = ''
  nobody.host = `127.0.0.1:${await choosePort()}`
  const gone = promotable(t, pair, nobody.href)
  const words = [...apply, '--accept-loss', 'unknown']
  // Where it had just tried again, it counts as heard from.
  const killed = await until(
    () => promote(t, gone, words, 'promote.after-step:1:kill'),
    ({ code }) => code !== 2,
  )
  t.equal(killed.code, 137, killed.stderr)
  t.ok(await isMarked(gone))
  await primary.query(`alter role ${role} login`)
  await insertTalk(primary, { id: 2 })
  const { rows } = await cloud.query<{ on: boolean }>(
    `select subenabled as on from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())`,
  )
  t.same(rows, [{ on: false }], 'what is marked takes nothing any more')
  const done = await promote(t, promotable(t, pair), apply)
  t.match(done, { code: 0, value: { mode: 'promoted', loss: { kind: 'rows', rows: 4 } } }, done.stderr)
  t.same(await segmentIds(cloud), ['1'])
  await t.rejects(queryRows(pair.primaryUrl, insert, [1]), { code: '25006' })
})

// Rows 26 and 27 for a subscription.
t.test('a row that somebody else wrote in the cloud, and one that is missing there', async (t) => {
  const pair = await createReplication(t)
  const { primary, cloud } = pair
  await primary.query('insert into lexicon values (1, 1), (2, 2)')
  await passFence(primary, cloud)
  await cloud.query('delete from lexicon where term = 2')
  await primary.query('update lexicon set documents = 20 where term = 2')
  await passFence(primary, cloud)
  const lacks = (await verifyExact({ ...pair, record: false })).filter((one) => one.verdict !== 'match')
  t.match(
    lacks,
    [{ table: 'lexicon', verdict: 'drift', differences: [{ key: ['2'] }] }],
    'skipped, and found',
  )
  await cloud.query('insert into lexicon values (2, 20)')

  await cloud.query('insert into lexicon values (4711, 1)')
  await primary.query(
    'begin; insert into lexicon values (4710, 5); insert into lexicon values (4711, 5); commit',
  )
  const errors =
    'select apply_error_count::int as n from pg_stat_subscription_stats where subid = (select oid from pg_subscription where subdbid = (select oid from pg_database where datname = current_database()))'
  await until(
    async () => (await cloud.query<{ n: number }>(errors)).rows[0]?.n,
    (n) => (n ?? 0) > 0,
  )
  const held = await cloud.query('select term, documents from lexicon where term >= 4710')
  t.same(
    held.rows,
    [{ term: 4711, documents: 1 }],
    'it stops: nothing of the transaction, nothing written over',
  )
  const refused = await promote(t, promotable(t, pair), [...apply, '--timeout-seconds', '2'])
  t.match(refused, { code: 3, stderr: /2 rows \(lexicon 2\) would be lost/ })
  await cloud.query('delete from lexicon where term = 4711')
  await passFence(primary, cloud)
  t.same(await compareRows(primary, cloud), [])
})
