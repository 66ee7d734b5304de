import t from 'tap'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { describe, judgeAll } from '../../../ops/commands/verify.ts'
import { createReplication, insertTalk, plant, withRole } from '../../replication/support.ts'
import { temporaryFolder } from '../../support/api.ts'
import { queryRows, uniqueName } from '../../support/databases.ts'
import { ops } from './support.ts'

// Row 34: what a server, database or role has set changes no hash.
const cloudSettings = [
  `timezone = 'Asia/Kolkata'`,
  `datestyle = 'German'`,
  'extra_float_digits = -5',
  `bytea_output = 'escape'`,
  `search_path = 'pg_catalog'`,
  `idle_in_transaction_session_timeout = '30ms'`,
]

t.test('match, drift, undetermined and misuse, each with its exit code', async (t) => {
  const pair = await createReplication(t)
  for (let id = 1; id <= 3; id += 1) await insertTalk(pair.primary, { id, text: `ä ${id}` })
  await waitForCloud(pair)
  const database = new URL(pair.cloudUrl).pathname.slice(1)
  for (const one of cloudSettings) await queryRows(pair.cloudUrl, `alter database ${database} set ${one}`)
  const settings = {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    VERIFY_STATE_PATH: temporaryFolder(t),
  }

  const sound = await ops(settings, 'verify')
  t.equal(sound.exitCode, 0, sound.stderr)
  t.match(sound.stdout, /^sources +match +3 rows\n/)
  t.equal(sound.stdout.trimEnd().split('\n').length, 11, 'a line a table')

  await plant(
    pair.cloud,
    `update sources set title = 'x' where id = 2; delete from segment_terms where segment_id > 1`,
  )
  const drift = await ops(settings, 'verify', 'sources', 'segment_terms', '--show', '1')
  t.equal(drift.exitCode, 3)
  t.equal(
    drift.stdout,
    [
      'sources        drift        3 rows, 1 difference',
      '  2: changed (title)',
      'segment_terms  drift        3/1 rows, 2 differences',
      '  2: missing',
      '  and 1 more',
      '',
    ].join('\n'),
  )
  const json = await ops(settings, 'verify', 'sources', '--json', '--tier', 'rows')
  t.match(JSON.parse(json.stdout), {
    verdict: 'drift',
    tier: 'rows',
    rows: 3,
    tables: [
      {
        table: 'sources',
        verdict: 'drift',
        primaryRows: 3,
        cloudRows: 3,
        differences: [{ key: ['2'], kind: 'changed', columns: ['title'] }],
        moreDifferences: 0,
        reason: null,
        lsn: /^[0-9A-F]+\/[0-9A-F]+$/,
        rowsFromEarlier: 0,
        earlierSince: null,
      },
    ],
  })
  t.match(await ops(settings, 'verify', 'sources', '--tier', 'vectors'), {
    exitCode: 2,
    stderr: /without vectors: sources/,
  })

  await pair.cloud.query('alter subscription homeport disable')
  t.match(await ops(settings, 'verify', 'sources', '--pace', 'full'), {
    exitCode: 1,
    stdout: /^sources +undetermined 3 rows, the subscription is switched off\n$/,
  })
  t.match(await ops(settings, 'verify', 'nothing'), { exitCode: 2, stderr: /no published table nothing/ })
  t.match(await ops(settings, 'verify', '--tier', 'x'), { exitCode: 2 })
})

t.test('an owner that may not replicate needs REPLICATION_DATABASE_URL', async (t) => {
  const pair = await createReplication(t)
  await insertTalk(pair.primary, { id: 1 })
  const owner = uniqueName('owner')
  await queryRows(pair.primaryUrl, `create role ${owner} login password 'p'`)
  await queryRows(pair.primaryUrl, `grant all on all tables in schema public to ${owner}`)
  t.teardown(async () => {
    await queryRows(pair.primaryUrl, `drop owned by ${owner}`)
    await queryRows(pair.primaryUrl, `drop role ${owner}`)
  })
  const settings = {
    LOCAL_DATABASE_URL: withRole(pair.primaryUrl, owner, 'p'),
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    VERIFY_STATE_PATH: temporaryFolder(t),
  }
  t.match(await ops(settings, 'verify'), { exitCode: 2, stderr: /REPLICATION_DATABASE_URL is not set/ })
  const given = await ops({ ...settings, REPLICATION_DATABASE_URL: pair.replicationUrl }, 'verify')
  t.equal(given.exitCode, 0, given.stderr + given.stdout)
  const elsewhere = await ops({ ...settings, REPLICATION_DATABASE_URL: pair.cloudUrl }, 'verify')
  t.match(elsewhere, { exitCode: 2, stderr: /leads to another server/ })
})

t.test('one word for all tables, and what is not known is said beside what is', async (t) => {
  const verdicts = (...words: ('match' | 'drift' | 'undetermined')[]) =>
    judgeAll(words.map((verdict) => ({ verdict })))
  t.equal(verdicts(), 'match')
  t.equal(verdicts('match', 'undetermined'), 'undetermined')
  t.equal(verdicts('undetermined', 'drift', 'match'), 'drift')
  const drift = {
    table: 'lexicon',
    verdict: 'drift',
    primaryRows: 3,
    cloudRows: 4,
    differences: [{ key: ['1', '2'], kind: 'extra', columns: [] }],
    moreDifferences: 0,
    reason: 'a row moved',
    lsn: '0/1',
  } as const
  const text = describe(drift)
  t.equal(text, 'lexicon        drift        3/4 rows, 1 difference, a row moved\n  1, 2: extra')
  const earlierSince = new Date(2026, 0, 2, 22, 10).toISOString()
  t.match(
    describe({ ...drift, rowsFromEarlier: 2, earlierSince }),
    /a row moved, 2 of them were compared from 22:10 on and are unchanged on both sides since\n/,
  )
})
