import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { publishedTables } from '../../../core/published-tables.ts'
import { captionsInProcess, paragraph, webvtt } from '../../ingest/support/in-process.ts'
import { rowPlaces } from '../../ingest/support/stored.ts'
import { createReplication, insertTalk, plant, segmentIds } from '../../replication/support.ts'
import { choosePort } from '../../../ops/local/ports.ts'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { ops, opsProcess, type Outcome } from './support.ts'

interface Answer {
  exitCode: number
  stderr: string
  value: {
    applied?: boolean
    mode?: string
    home?: string
    loss?: unknown
    steps?: { what: string }[]
    left?: string[]
  }
}

function parse({ exitCode, stdout, stderr }: Outcome): Answer {
  return { exitCode, stderr, value: JSON.parse(stdout === '' ? '{}' : stdout) as Answer['value'] }
}

t.test('a native cloud whose home lives: the plan, drift, the promotion, and once more', async (t) => {
  const pair = await createReplication(t)
  const { primary, cloud } = pair
  const settings = {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    DATABASE_URL: pair.readerUrl,
    REPLICATION_DATABASE_URL: pair.replicationUrl,
    RELAY_STATE_PATH: t.testdir(),
  }
  const run = async (...words: string[]): Promise<Answer> =>
    parse(await ops(settings, 'promote', ...words, '--json'))
  for (let id = 1; id <= 5; id += 1) await insertTalk(primary, { id })
  await insertTalk(primary, { id: 6, visibility: 'private' })

  const plan = await run()
  t.match(plan, { exitCode: 0, value: { applied: false, mode: 'native', home: 'alive', loss: null } })
  t.match(plan.value.steps, [
    { what: /^fence home/ },
    { what: /^mark it as a primary/ },
    { what: /^switch the subscription off/ },
    {},
    { what: /^drop the subscription/ },
  ])
  t.match(plan.value.left?.join('\n'), /1 sources with 1 segments, and the list of 0 files, are at home only/)
  await insertTalk(primary, { id: 7 })
  t.match(await ops(settings, 'promote', '--apply'), {
    exitCode: 2,
    stderr: /nothing was changed[\s\S]*--apply --yes/,
  })
  t.match(await ops(settings, 'promote', '--apply', '--accept-loss', 'few'), {
    exitCode: 2,
    stderr: /number of rows/,
  })

  await plant(
    cloud,
    `update segments set text = 'forged' where id = 3; delete from segment_terms where segment_id = 4`,
  )
  const drift = await run('--apply', '--yes', '--accept-loss', '1')
  t.equal(drift.exitCode, 3)
  t.match(
    drift.stderr,
    /"code":"DRIFT".*2 rows \(segments 1, segment_terms 1\) would be lost.*--accept-loss 2/,
  )
  t.match(await ops(settings, 'status'), { exitCode: 0 }, 'the cloud follows as before')
  await insertTalk(primary, { id: 8 })
  await plant(cloud, `update segments set text = 'words of 3' where id = 3`)
  await plant(cloud, `insert into segment_terms values (4, 'public', '{1,2}', '{1,1}', 2)`)

  const elsewhere = (database: string): Record<string, string> => ({
    ...settings,
    LOCAL_DATABASE_URL: pair.primaryUrl.replace(/\/[^/?]+(?=\?|$)/, `/${database}`),
  })
  t.match(await ops(elsewhere('no_such'), 'promote'), {
    exitCode: 2,
    stderr: /home answers, and cannot be used/,
  })
  const fed = await ops({ ...settings, LOCAL_DATABASE_URL: '' }, 'promote', '--accept-loss', 'unknown')
  t.match(fed, { exitCode: 2, stderr: /the subscription heard from it \d+ s ago/ })

  await insertTalk(primary, { id: 9, visibility: 'private' })
  const numbers = await primary.query<{ last: string }>('select last_value as last from change_seq')
  const done = await run('--apply', '--yes')
  t.match(
    done,
    { exitCode: 0, value: { applied: true, mode: 'native', home: 'alive', loss: { kind: 'none' } } },
    done.stderr,
  )
  t.same(await segmentIds(cloud), ['1', '2', '3', '4', '5', '7', '8'])

  await t.test('the cloud is a primary', async (t) => {
    await insertTalk(cloud, { id: 20 })
    const { rows } = await cloud.query<{ ok: boolean }>(
      `select change_seq > $1::int8 as ok from segments where id = 20`,
      [numbers.rows[0]?.last],
    )
    t.same(rows, [{ ok: true }], 'numbers go on upwards, past those of private rows')
    await cloud.query('delete from sources where id = 1')
    t.equal((await cloud.query('select from tombstones where segment_id = 1')).rowCount, 1, 'it buries again')
    await t.rejects(
      cloud.query(
        `insert into segments (id, source_id, visibility, ordinal, text, turns, engine) values (99, 77, 'public', 0, '', '[]', 'x')`,
      ),
      { code: '23503' },
    )
    await t.rejects(cloud.query(`delete from models`), { code: '23503' })
    t.equal(
      (
        await cloud.query(
          'select from pg_subscription s join pg_database d on d.oid = s.subdbid where d.datname = current_database()',
        )
      ).rowCount,
      0,
    )
    t.equal(
      (await cloud.query(`select from pg_publication_tables where pubname = 'homeport'`)).rowCount,
      publishedTables.length,
    )
  })

  await t.test('home takes no writes, whoever writes', async (t) => {
    const refused = [
      'insert into lexicon values (1, 1)',
      `set session_replication_role = replica; delete from lexicon`,
      'begin read write; truncate tombstones; commit',
      `update ingested_files set ingested_at = now()`,
    ]
    for (const sql of refused) {
      await t.rejects(
        queryRows(pair.primaryUrl, sql),
        { code: '25006', message: /takes no writes here any more/ },
        sql,
      )
    }
    t.equal(
      (await primary.query('select from pg_replication_slots where database = current_database()')).rowCount,
      0,
    )
  })

  await t.test('again, and back', async (t) => {
    const withRelay = {
      ...settings,
      RELAY_DATABASE_URL: pair.readerUrl,
      GATEWAY_DATABASE_URL: pair.readerUrl,
    }
    const again = await run('--apply', '--yes')
    t.match(
      again,
      { exitCode: 0, value: { applied: true, mode: 'promoted', loss: null, steps: [] } },
      again.stderr,
    )
    t.match(await ops(settings, 'status'), { stdout: /is a primary of its own now/ })
    await t.rejects(
      queryRows(pair.readerUrl, 'begin read write; insert into lexicon values (1, 1); commit'),
      { code: '42501' },
    )
    t.match(await run('--cancel'), { exitCode: 2, stderr: /"code":"PROMOTED"/ })
    // Whoever has settings of before is told the same by every command, and changes nothing.
    const old = [
      ['setup-replication'],
      ['verify'],
      ['repair', '--apply', '--delete'],
      ['schema', 'diff'],
      ['migrate'],
      ['monitor', '--once'],
      ['teardown-replication', '--yes', '--roles'],
    ]
    for (const words of old) {
      const { exitCode, stderr } = await ops(withRelay, ...words, '--json')
      t.equal(exitCode, 2, words.join(' '))
      t.match(stderr, /"code":"PROMOTED".*LOCAL_DATABASE_URL/, words.join(' '))
      t.notMatch(stderr, /drop publication/)
    }
    t.match(await run(), { value: { mode: 'promoted', steps: [] } }, 'the mark is still there')
    t.same(await queryRows(pair.readerUrl, 'select 1 as one'), [{ one: 1 }], "and the api's role")
    const otherUrl = await createDatabase(t, 'primary')
    const swap = { ...settings, LOCAL_DATABASE_URL: pair.cloudUrl, PRODUCTION_DATABASE_URL: otherUrl }
    const around = { ...swap, PRODUCTION_DATABASE_URL: pair.primaryUrl }
    const roles = (url: string, cloudUrl: string) => ({
      DATABASE_URL: withName(cloudUrl, new URL(pair.readerUrl)),
      REPLICATION_DATABASE_URL: withName(url, new URL(pair.replicationUrl)),
    })
    t.match(await ops({ ...around, ...roles(pair.cloudUrl, pair.primaryUrl) }, 'setup-replication'), {
      exitCode: 2,
      stderr: /have rows|leads to a primary/,
    })
    const there = { ...swap, ...roles(pair.cloudUrl, otherUrl) }
    const back = await opsProcess(there, 'setup-replication')
    t.equal(back.exitCode, 0, back.stderr)
    t.match(await ops(there, 'verify'), { exitCode: 0, stdout: /segments +match +7 rows/ })
    await ops(there, 'teardown-replication', '--yes', '--roles')
  })
})

t.test('a native cloud whose home is gone, and comes back', async (t) => {
  const pair = await createReplication(t)
  await insertTalk(pair.primary, { id: 1 })
  await waitForCloud(pair)
  const settings = { LOCAL_DATABASE_URL: pair.primaryUrl, PRODUCTION_DATABASE_URL: pair.cloudUrl }
  const nobody = new URL(pair.primaryUrl)
  nobody.search = ''
  nobody.host = `127.0.0.1:${await choosePort()}`
  const gone = { ...settings, LOCAL_DATABASE_URL: nobody.href }
  // As it is half a minute after home went.
  await pair.cloud.query('alter subscription homeport disable')
  await pair.cloud.query(`delete from homeport_migrations where name = '007-promotion.sql'`)
  await insertTalk(pair.primary, { id: 2 })

  const plan = await ops(gone, 'promote', '--accept-loss', 'unknown')
  t.equal(plan.exitCode, 0, plan.stderr)
  t.match(plan.stdout, /home is gone[\s\S]*-- 007-promotion\.sql[\s\S]*last heartbeat of home is/)
  t.match(await ops(gone, 'promote'), { exitCode: 3, stderr: /nobody can count what would be lost/ })
  const done = await ops(gone, 'promote', '--apply', '--yes', '--accept-loss', 'unknown')
  t.equal(done.exitCode, 0, done.stderr)
  t.match(done.stdout, /^The cloud is the primary[\s\S]*What may be lost:/)
  t.match(done.stdout, /select pg_drop_replication_slot\('homeport_\w+'\);/)
  await insertTalk(pair.cloud, { id: 3 })
  t.same(await segmentIds(pair.cloud), ['1', '3'])

  const again = parse(await ops(settings, 'promote', '--apply', '--yes', '--json'))
  t.match(
    again,
    { exitCode: 0, value: { mode: 'promoted', home: 'alive', loss: { kind: 'rows', rows: 4 } } },
    again.stderr,
  )
  t.match(again.value.loss, { tables: [{ table: 'sources', rows: 1 }, {}, {}, {}] }, 'what only home has')
  await t.rejects(queryRows(pair.primaryUrl, 'delete from lexicon'), { code: '25006' })
  const slots = await queryRows(
    pair.primaryUrl,
    'select from pg_replication_slots where database = current_database()',
  )
  t.equal(slots.length, 0)
})

t.test('ingest goes on in the new primary', async (t) => {
  const pair = await createReplication(t)
  const settings = { LOCAL_DATABASE_URL: pair.primaryUrl, PRODUCTION_DATABASE_URL: pair.cloudUrl }
  const talk = (from: number): string => webvtt([1, 2, 3, 4].map((at) => paragraph(from + at)))
  const folder = t.testdir({ 'a.vtt': talk(0), 'b.vtt': talk(10) })
  await captionsInProcess(pair.primaryUrl, [folder])
  t.match(await ops(settings, 'promote', '--apply', '--yes'), {
    exitCode: 0,
    stdout: /^The cloud is the primary/,
  })

  const before = await rowPlaces(pair.cloudUrl)
  const { report } = await captionsInProcess(pair.cloudUrl, [folder])
  t.match(report, { ok: true, segments: { added: 0, removed: 0, updated: 0, unchanged: 8 } })
  const { ingested_files: known, ...content } = await rowPlaces(pair.cloudUrl)
  t.not(known, before['ingested_files'], 'the files are known from now on')
  t.match(before, content, 'no row was written anew')
  writeFileSync(join(folder, 'b.vtt'), talk(20))
  const changed = await captionsInProcess(pair.cloudUrl, [folder])
  t.match(changed.report, {
    ok: true,
    sources: { changed: 1, unchanged: 1 },
    segments: { added: 4, removed: 4 },
  })
  t.equal((await pair.cloud.query('select from tombstones')).rowCount, 4)
  await t.rejects(captionsInProcess(pair.primaryUrl, [folder]), {
    code: 'DATABASE_FAILED',
    message: /takes no writes/,
  })
})

/** The same role, in another database. */
function withName(url: string, role: URL): string {
  const changed = new URL(url)
  changed.username = role.username
  changed.password = role.password
  return changed.href
}
