import t from 'tap'
import type { Test } from 'tap'
import { armFailpoints } from '../../../core/failpoint.ts'
import { errorCode } from '../../../core/errors.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { repair, type RepairOptions } from '../../../replication/repair/repair.ts'
import { repairPrefix } from '../../../replication/repair/request.ts'
import { verifyExact } from '../../../replication/verify/verify-exact.ts'
import { createRelayPair, startRelay } from '../../support/relay-pair.ts'
import { createReplication, insertTalk, plant, type Replication } from '../support.ts'
import { choosePlants, expected, prepareContent, said, startWriting } from '../verify/plants.ts'

// Rows 31, 33 and 35 of the fault catalogue.
type Pair = Pick<Replication, 'primaryUrl' | 'primary' | 'cloud' | 'replicationUrl'>

const limits = { mayDelete: true, maxDeletes: 100, maxShare: 0.2 }

function options(pair: Pair, given: Partial<RepairOptions> = {}): RepairOptions {
  return { ...pair, isDryRun: false, limits, maxRows: 1000, ...given }
}

const pairs: Record<string, (t: Test) => Promise<Pair>> = {
  native: async (t) => {
    const pair = await createReplication(t)
    await prepareContent(pair.primary)
    return pair
  },
  relay: async (t) => {
    const pair = await createRelayPair(t, { prepare: prepareContent })
    startRelay(t, pair)
    return { ...pair, replicationUrl: pair.settings['REPLICATION_DATABASE_URL'] ?? '' }
  },
}

for (const [mode, create] of Object.entries(pairs)) {
  t.test(mode, async (t) => {
    const pair = await create(t)
    await waitForCloud(pair)
    const planted = async (sql: string): Promise<void> => plant(pair.cloud, sql)
    const isSame = async (t: Test): Promise<void> => {
      t.strictSame(said(await verifyExact({ ...pair, record: false })), { proven: [], undetermined: [] })
    }

    t.test('every kind of drift is put right while rows are written', async (t) => {
      const writing = startWriting(t, pair.primaryUrl, 3)
      const plants = choosePlants(3)
      await planted(plants.map((one) => one.sql).join('; '))
      const dry = await repair(options(pair, { isDryRun: true }))
      t.strictSame(said(dry.before).proven, expected(plants))
      t.strictSame([dry.run, dry.rows, dry.after], [null, [], null])
      t.strictSame(said(await verifyExact({ ...pair, record: false })).proven, expected(plants), 'as it was')

      const kept = await repair(options(pair, { limits: { ...limits, mayDelete: false } }))
      const extra = expected(plants.filter(({ difference }) => difference[0] === 'extra'))
      t.strictSame(said(await verifyExact({ ...pair, record: false })).proven, extra, 'only what would go')
      t.equal(kept.plan.refusals.filter(({ code }) => code === 'DELETES_NOT_ALLOWED').length, 3)
      t.strictSame(said(kept.before).proven, expected(plants), 'the rest was still there')

      const done = await repair(options(pair))
      t.strictSame(
        done.rows.map(({ table, key, action }) => [table, action, ...key].join(' ')).sort(),
        extra.map((one) => one.replace('extra', 'delete')),
      )
      await writing.stop()
      await isSame(t)
    })

    t.test('what was there before is kept', async (t) => {
      await planted(
        `update sources set title = 'another', views = null where id = 5; delete from segment_terms where segment_id = 6;
         insert into segment_terms values (-9, 'private', '{1}', '{1}', 1)`,
      )
      const { run, rows } = await repair(options(pair))
      t.equal(rows.length, 3)
      const { rows: kept } = await pair.cloud.query<Record<string, unknown>>(
        `select table_name, key, action, old_image ->> 'title' as title, old_image ->> 'terms' as terms
         from repair_journal where run = $1 order by id`,
        [run],
      )
      t.strictSame(kept, [
        { table_name: 'segment_terms', key: ['-9'], action: 'delete', title: null, terms: '{1}' },
        { table_name: 'sources', key: ['5'], action: 'update', title: 'another', terms: null },
        { table_name: 'segment_terms', key: ['6'], action: 'insert', title: null, terms: null },
      ])
      await isSame(t)
    })

    t.test('a repaired row has a new number, by which indexes in memory find it', async (t) => {
      await planted(`update segments set text = 'wrong' where id = 7`)
      const number = async (): Promise<bigint> => {
        const { rows } = await pair.cloud.query<{ n: string }>(
          'select change_seq as n from segments where id = 7',
        )
        return BigInt(rows[0]?.n ?? 0)
      }
      const before = await number()
      await repair(options(pair))
      await waitForCloud(pair)
      t.ok((await number()) > before)
      const { rows } = await pair.cloud.query(
        `select from repair_journal where announced_at is null and table_name = 'segments'`,
      )
      t.strictSame(rows, [], 'and that is noted')
    })

    t.test('nobody writes a row while it is on its way', async (t) => {
      t.teardown(() => armFailpoints(undefined))
      await planted('update sources set views = 1 where id = 8')
      const blocked: unknown[] = []
      armFailpoints(async (name) => {
        if (name !== 'repair.locked' && name !== 'repair.written') return
        const write = `begin; set local lock_timeout = '50ms'; update sources set views = 99 where id = 8; commit`
        blocked.push(await pair.primary.query(write).then(() => null, errorCode))
        await pair.primary.query('rollback')
      })
      await repair(options(pair))
      t.strictSame(blocked, ['55P03', '55P03'])
      await isSame(t)
    })

    t.test('a row that the primary writes first is left to replication', async (t) => {
      t.teardown(() => armFailpoints(undefined))
      await planted(
        'update sources set views = 1 where id in (10, 11); delete from segment_terms where segment_id = 12',
      )
      let hasWritten = false
      armFailpoints(async (name) => {
        if (name !== 'repair.locked' || hasWritten) return
        hasWritten = true
        // Of a table whose turn comes later.
        await pair.primary.query('delete from segment_terms where segment_id = 12')
      })
      const { rows, after } = await repair(options(pair))
      t.strictSame(
        rows.map(({ table, key, action }) => [table, action, ...key].join(' ')),
        ['sources update 10', 'sources update 11', 'segment_terms passed 12'],
      )
      t.strictSame(
        after?.map(({ verdict }) => verdict),
        ['match', 'match'],
      )
    })

    t.test('a row that the cloud refuses stops nothing', async (t) => {
      await planted('delete from sources where id in (14, 15)')
      await pair.cloud.query('alter table sources add constraint no_fourteen check (id <> 14)')
      const { rows, after } = await repair(options(pair))
      t.strictSame(rows.map(({ key, action, reason }) => [...key, action, reason].join(' ')).sort(), [
        '14 refused 23514',
        '15 insert ',
      ])
      t.match(after, [{ table: 'sources', verdict: 'drift', differences: [{ key: ['14'] }] }])
      await insertTalk(pair.primary, { id: 1000 })
      await waitForCloud(pair)
      await pair.cloud.query('alter table sources drop constraint no_fourteen')
      t.equal((await repair(options(pair))).rows.length, 1)
      await isSame(t)
    })

    t.test('what a relay put aside is resolved once its table is the same', async (t) => {
      await pair.cloud.query(
        `insert into relay_quarantine (slot, commit_lsn, table_name, operation, key, error_code, reason)
         values ('s', '0/1', 'sources', 'insert', '{16}', '23514', 'x'), ('s', '0/1', 'models', 'insert', '{1}', '23514', 'x')`,
      )
      await planted('delete from sources where id = 16')
      await repair(options(pair, { tables: publishedTables.filter(({ name }) => name === 'sources') }))
      const open = async (): Promise<{ table_name: string }[]> => {
        const sql = 'select table_name from relay_quarantine where resolved_at is null'
        return (await pair.cloud.query<{ table_name: string }>(sql)).rows
      }
      t.strictSame(await open(), [{ table_name: 'models' }])
      await repair(options(pair, { isDryRun: true }))
      t.equal((await open()).length, 1, 'nothing changes when nothing is asked for')
      await repair(options(pair))
      t.strictSame(await open(), [])
    })

    t.test('the heartbeat itself', async (t) => {
      await planted('update heartbeat set beat = 0')
      await repair(options(pair))
      await isSame(t)
    })
  })
}

t.test('a lost lock: nothing is committed', async (t) => {
  t.teardown(() => armFailpoints(undefined))
  const pair = await createReplication(t)
  await prepareContent(pair.primary)
  await waitForCloud(pair)
  await plant(pair.cloud, 'update sources set views = 1 where id = 8')
  armFailpoints(async (name) => {
    if (name !== 'repair.before-commit') return
    await pair.primary.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and state = 'idle in transaction' and pid <> pg_backend_pid()`,
    )
    await pair.primary.query('update sources set views = 7 where id = 8')
  })
  await t.rejects(repair(options(pair)), { code: 'LOCK_LOST' })
  await waitForCloud(pair)
  const { rows } = await pair.cloud.query<{ views: string }>('select views from sources where id = 8')
  t.strictSame(rows, [{ views: '7' }], 'the newer row')
})

t.test('whoever writes a request, the cloud gets nothing but what the primary has', async (t) => {
  const pair = await createRelayPair(t, { prepare: prepareContent })
  const relay = startRelay(t, pair)
  await waitForCloud(pair)
  const forged = [
    { table: 'sources', action: 'remove', keys: [['1'], ['01'], [' 2 '], ['+3']] },
    {
      table: 'model_terms',
      action: 'remove',
      keys: [
        ['1', '0x'],
        ['01', '5'],
        ['1', '99999999999999999999'],
      ],
    },
    { table: 'sources', action: 'put', keys: [['abc'], ['04'], ['999']] },
    { table: 'nothing', action: 'remove', keys: [['1']] },
    { table: 'sources', action: 'remove', keys: [['1', '2']] },
  ]
  for (const request of forged) {
    await pair.primary.query(`select pg_logical_emit_message(true, $1, $2::text)`, [
      repairPrefix,
      JSON.stringify({ run: 'forged', ...request }),
    ])
  }
  await waitForCloud(pair)
  const replicationUrl = pair.settings['REPLICATION_DATABASE_URL'] ?? ''
  t.strictSame(said(await verifyExact({ ...pair, replicationUrl, record: false })), {
    proven: [],
    undetermined: [],
  })
  t.notOk(relay.hasEnded, relay.stderr.slice(-1000))
})

t.test('a relay that does not run', async (t) => {
  const pair = await createRelayPair(t)
  const replicationUrl = pair.settings['REPLICATION_DATABASE_URL'] ?? ''
  await t.rejects(repair(options({ ...pair, replicationUrl })), {
    code: 'NOT_FOLLOWING',
    message: /no relay runs/,
  })
})
