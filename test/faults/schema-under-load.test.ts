import t, { type Test } from 'tap'
import type pg from 'pg'
import { errorCode } from '../../core/errors.ts'
import { diffSchemas } from '../../replication/schema-diff.ts'
import { describeFix, type Fix } from '../../replication/schema-difference.ts'
import { createReplication } from '../replication/support.ts'
import { until } from '../support/api.ts'
import { compareRows, passFence } from '../support/oracles/equality.ts'
import { createRelayPair, runOps, startRelay } from '../support/relay-pair.ts'
import { stopsWith } from './support.ts'

const rows = 8
const key = 'alter table lexicon drop constraint lexicon_pkey, add primary key'

/** Row 54: what is altered at home while three sessions write to that very table. */
const changes: readonly { what: string; change: string; code: string }[] = [
  {
    what: 'another type',
    change: 'alter table sources alter column views type numeric',
    code: 'TYPE_DIFFERS',
  },
  {
    what: 'another name',
    change: 'alter table sources rename column channel to station',
    code: 'COLUMN_RENAMED',
  },
  { what: 'another primary key', change: `${key} (documents)`, code: 'PRIMARY_KEY_DIFFERS' },
]

interface Pair {
  primaryUrl: string
  cloudUrl: string
  primary: pg.Pool
  cloud: pg.Pool
}

async function fill(primary: pg.Pool): Promise<void> {
  await primary.query('truncate sources, lexicon cascade')
  await primary.query(`insert into sources (id, kind, title, channel, views, visibility, transcript_method, processed_at)
    select n, 'video', 't0', 'c0', 0, 'public', 'transcript', now() from generate_series(1, ${rows}) as n`)
  await primary.query(`insert into lexicon select n, n from generate_series(1, ${rows}) as n`)
}

/** Every update says the same thing in three columns, so that a value in a wrong column, or half an update, shows. */
const shapes = ['channel', 'station'].map(
  (name) =>
    `update sources set views = views + 1, title = 't' || (views + 1), ${name} = 'c' || (views + 1) where id = $1`,
)

function writeAllTheTime(
  t: Test,
  primary: pg.Pool,
): { stop: () => Promise<void>; goesOn: () => Promise<void> } {
  let isOver = false
  let count = 0
  const write = async (first: number): Promise<void> => {
    for (let at = first; !isOver; at += 1) {
      const row = 1 + (at % rows)
      for (const shape of shapes) {
        try {
          await primary.query(shape, [row])
          break
        } catch (error) {
          // The other name is the right one now.
          if (errorCode(error) !== '42703') throw error
        }
      }
      await primary.query('update lexicon set documents = documents + 1000 where term = $1', [row])
      count += 1
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  const writers = Promise.all([0, 3, 6].map(write))
  const stop = async (): Promise<void> => {
    isOver = true
    await writers
  }
  t.teardown(stop)
  const goesOn = async (): Promise<void> => {
    const before = count
    await until(
      () => Promise.resolve(count),
      (now) => now > before + 20,
    )
  }
  return { stop, goesOn }
}

/** Rows of the cloud whose columns do not say the same. */
async function wrongRows(cloud: pg.Pool): Promise<object[]> {
  const { rows: columns } = await cloud.query<{ name: string }>(
    `select attname::text as name from pg_attribute where attrelid = 'sources'::regclass and attname in ('channel', 'station')`,
  )
  const name = columns[0]?.name ?? 'channel'
  const wrong = await cloud.query<object>(
    `select id, title, ${name}, views from sources where title <> 't' || views or ${name} <> 'c' || views
     union all select term, 'lexicon', '', documents from lexicon where documents % 1000 <> term`,
  )
  return wrong.rows
}

/** Nothing is in a wrong column, and the difference is named; what it says to do. */
async function namedFix(t: Test, pair: Pair, code: string): Promise<Fix> {
  t.same(await wrongRows(pair.cloud), [], 'nothing in a wrong column')
  const { differences } = await diffSchemas(pair)
  const found = differences.find((one) => one.code === code)
  t.match(found?.effect, /^stops/, differences.map((one) => one.message).join('; '))
  return found?.fix ?? { on: null, command: 'nothing' }
}

t.test('under a subscription', async (t) => {
  const pair = await createReplication(t)
  const { primary, cloud } = pair
  await fill(primary)
  await passFence(primary, cloud)
  const load = writeAllTheTime(t, primary)
  const errors = async (): Promise<number> => {
    const { rows: found } = await cloud.query<{ n: number }>(
      `select apply_error_count::int as n from pg_stat_subscription_stats where subid =
        (select oid from pg_subscription where subdbid = (select oid from pg_database where datname = current_database()))`,
    )
    return found[0]?.n ?? 0
  }
  const stops = async (after: number): Promise<void> => {
    await until(errors, (count) => count > after, 60_000)
  }
  for (const { what, change, code } of changes) {
    await t.test(what, async (t) => {
      await load.goesOn()
      const had = await errors()
      await primary.query(change)
      await stops(had)
      const fix = await namedFix(t, pair, code)
      await run(pair, fix)
      if (fix.on === 'primary') {
        t.ok(fix.ifStuck, describeFix(fix))
        // It takes what has the other shape, and stops where the right one comes again.
        const stuck = await errors()
        await cloud.query(fix.ifStuck ?? '')
        await stops(stuck + 1)
        await run(pair, await namedFix(t, pair, code))
      }
      await passFence(primary, cloud)
      t.same(await wrongRows(cloud), [])
    })
  }
  await load.stop()
  await passFence(primary, cloud)
  t.same((await diffSchemas(pair)).differences, [])
  t.same(await compareRows(primary, cloud), [])
})

async function run(pair: Pair, fix: Fix): Promise<void> {
  if (fix.on !== null) await pair[fix.on].query(fix.command)
}

t.test('under a relay', async (t) => {
  const pair = await createRelayPair(t, { prepare: fill })
  const { primary, cloud } = pair
  const load = writeAllTheTime(t, primary)
  for (const { what, change, code } of changes) {
    await t.test(what, async (t) => {
      const relay = startRelay(t, pair, { args: ['--json'] })
      await passFence(primary, cloud)
      await load.goesOn()
      await primary.query(change)
      await stopsWith(t, pair, relay, { code: 'SCHEMA_MISMATCH', message: /sources|lexicon/ })
      const fix = await namedFix(t, pair, code)
      await run(pair, fix)
      if (code === 'PRIMARY_KEY_DIFFERS') {
        t.match(relay.stderr, /then ops reseed/, 'rows without their key are nowhere to be put')
        await runOps({ args: ['reseed', '--yes'], settings: pair.settings })
      } else if (fix.on === 'primary') {
        t.ok(fix.ifStuck, describeFix(fix))
        await cloud.query(fix.ifStuck ?? '')
        const through = startRelay(t, pair, { args: ['--json'] })
        await stopsWith(t, pair, through, { code: 'SCHEMA_MISMATCH', message: /sources|lexicon/ })
        await run(pair, await namedFix(t, pair, code))
      }
      const healed = startRelay(t, pair)
      await passFence(primary, cloud)
      t.same(await wrongRows(cloud), [])
      t.match(await healed.terminate(), { code: 0 })
    })
  }
  await load.stop()
  const last = startRelay(t, pair)
  await passFence(primary, cloud)
  t.same(await compareRows(primary, cloud), [])
  t.match(await last.terminate(), { code: 0 })
})
