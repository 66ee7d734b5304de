import t from 'tap'
import { exitCodeOf } from '../../../ops/commands/repair.ts'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { createReplication, insertTalk, plant } from '../../replication/support.ts'
import { ops } from './support.ts'

t.test('what it would do, what it did, and what it leaves, each with its exit code', async (t) => {
  const pair = await createReplication(t)
  for (let id = 1; id <= 3; id += 1) await insertTalk(pair.primary, { id })
  await waitForCloud(pair)
  const settings = { LOCAL_DATABASE_URL: pair.primaryUrl, PRODUCTION_DATABASE_URL: pair.cloudUrl }
  t.match(await ops(settings, 'repair'), {
    exitCode: 0,
    stdout: 'Nothing to repair: every row is the same.\n',
  })

  await plant(
    pair.cloud,
    `update sources set title = 'x' where id = 2; delete from segment_terms where segment_id = 1; insert into lexicon values (5, 1)`,
  )
  const dry = await ops(settings, 'repair')
  t.equal(dry.exitCode, 3, dry.stderr)
  t.equal(
    dry.stdout,
    [
      'sources: 1 row',
      "  2: changed (title): the cloud has it otherwise: write the primary's row",
      'segment_terms: 1 row',
      "  1: missing: the cloud lacks it: insert the primary's row",
      '! lexicon has 1 row on the cloud that the primary does not have',
      '    ops repair lexicon --apply --delete removes them',
      '',
      'Nothing was changed. To do it: ops repair --apply',
      '',
    ].join('\n'),
  )
  t.strictSame((await pair.cloud.query('select from repair_journal')).rows, [], 'nothing was changed')

  const applied = await ops(settings, 'repair', '--apply')
  t.equal(applied.exitCode, 3, 'a row is left')
  t.match(
    applied.stdout,
    /^1 inserted, 1 updated, 0 removed; their former state: repair_journal, run [0-9a-f-]{36}\n/,
  )
  t.match(applied.stdout, /\nsources +match +3 rows\n/)

  const all = await ops(settings, 'repair', 'lexicon', '--apply', '--delete', '--json')
  t.equal(all.exitCode, 0, all.stderr)
  t.match(JSON.parse(all.stdout), {
    mode: 'native',
    applied: true,
    steps: [
      { table: 'lexicon', action: 'remove', differences: [{ key: ['5'], kind: 'extra', columns: [] }] },
    ],
    refusals: [],
    rows: [{ table: 'lexicon', key: ['5'], action: 'delete', reason: null }],
    after: [{ table: 'lexicon', verdict: 'match' }],
  })

  await plant(pair.cloud, 'insert into lexicon values (5, 1), (6, 1)')
  t.match(await ops(settings, 'repair', '--apply', '--delete', '--max-deletes', '1'), {
    exitCode: 3,
    stdout:
      /2 rows would be removed in all, the limit is 1\n +look at them first; then ops repair lexicon --apply --delete --max-deletes 2\n/,
  })
  await pair.cloud.query('alter subscription homeport disable')
  await plant(pair.cloud, `update sources set title = 'x' where id = 1`)
  t.match(await ops(settings, 'repair', 'sources', '--apply'), {
    exitCode: 3,
    stdout: /^! sources: the subscription is switched off\n/,
  })
  t.match(await ops(settings, 'repair', 'nothing'), { exitCode: 2, stderr: /no published table nothing/ })
  t.match(await ops(settings, 'repair', '--max-share-percent', '0'), { exitCode: 2 })
})

t.test('0 only when nothing is known to be wrong', async (t) => {
  const plan = { steps: [], refusals: [] }
  const step = { table: 'sources', action: 'put', differences: [] } as const
  const match = { verdict: 'match' } as never
  t.equal(exitCodeOf({ plan, after: null }), 0)
  t.equal(exitCodeOf({ plan: { ...plan, steps: [step] }, after: null }), 3)
  t.equal(exitCodeOf({ plan: { ...plan, steps: [step] }, after: [match] }), 0)
  t.equal(exitCodeOf({ plan, after: [match, { verdict: 'undetermined' } as never] }), 3)
})
