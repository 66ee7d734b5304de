import t from 'tap'
import type { Test } from 'tap'
import type pg from 'pg'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { isFull, seeds } from '../../faults/support.ts'
import { pick, randomNumbers } from '../../support/random.ts'
import { createRelayPair, startRelay } from '../../support/relay-pair.ts'
import { createReplication, insertTalk, plant } from '../support.ts'
import { heal } from './mutations.ts'
import type { Plant } from './plants.ts'
import { ResumableRuns, reusedRows, verdictsOf, type Followed } from './resumable.ts'

// A comparison that is stopped again and again, while rows are written on either side, says in the end what one says that
// looks at every row. Every seed is four or five comparisons.
const many = 12_000
const words = 3000

/** `apart`: nothing of the cloud's own is done to a row that the primary writes, which would stop a relay. */
type Pair = Followed & { apart: boolean }

t.test('native: the verdict is that of a run that compares all anew', async (t) => {
  const pair = await createReplication(t)
  await prepare(pair.primary)
  await waitForCloud(pair)
  await interruptAll(t, { ...pair, apart: false }, seeds({ quick: 5, full: 60 }))
})

t.test('relay: likewise', async (t) => {
  if (!isFull) return
  const made = await createRelayPair(t, { prepare })
  startRelay(t, made)
  await waitForCloud({ ...made, timeoutMs: 120_000 })
  const replicationUrl = made.settings['REPLICATION_DATABASE_URL'] ?? ''
  await interruptAll(t, { ...made, replicationUrl, apart: true }, seeds({ quick: 1, full: 20 }))
})

async function prepare(primary: pg.Pool): Promise<void> {
  for (let id = 1; id <= 5; id += 1) await insertTalk(primary, { id })
  await primary.query(`insert into model_terms select 1, i, '[1,2,3]' from generate_series(0, ${many - 1}) i`)
  await primary.query(
    `insert into lexicon select i, 1 from generate_series(1, ${words}) i on conflict (term) do update set documents = 1`,
  )
}

async function interruptAll(t: Test, pair: Pair, chosen: readonly number[]): Promise<void> {
  let reused = 0
  for (const seed of chosen) {
    await t.test(`seed ${seed}`, async (t) => {
      reused += await interruptOften(t, pair, seed)
    })
  }
  t.ok(reused > chosen.length * 2000, `${reused} rows were not hashed again`)
}

/** How many rows were not hashed again. */
async function interruptOften(t: Test, pair: Pair, seed: number): Promise<number> {
  const random = randomNumbers(seed * 628_374)
  const runs = new ResumableRuns(t, pair)
  const pace = pick(random, 3) === 0 ? ('full' as const) : ('default' as const)
  const planted: Plant[] = []
  for (let left = 2 + pick(random, 2); left > 0; left -= 1) {
    await runs.stop(5 + pick(random, 8), { pace })
    for (let more = 1 + pick(random, 3); more > 0; more -= 1) {
      planted.push(...(await happen(pair, random)))
    }
    await waitForCloud(pair)
  }
  const resumed = await runs.run({ maxDifferences: 1000 })
  const anew = await runs.run({ maxDifferences: 1000, anew: true })
  t.strictSame(verdictsOf(resumed), verdictsOf(anew))
  t.strictSame(runs.notes, [])
  t.comment(`${reusedRows(resumed)} rows not hashed again; ${planted.map((one) => one.name).join(', ')}`)
  await heal(pair, planted)
  return reusedRows(resumed)
}

/** Something on one of the sides; where it was in the cloud alone, so that it can be made right again. */
async function happen(pair: Pair, random: () => number): Promise<Plant[]> {
  const inCloud = plantsAt(pick(random, many / 2) * 2, 1 + pick(random, words / 2) * 2)
  const odd = pair.apart ? 1 : pick(random, 2)
  const atHome = writesAt(pick(random, many / 2) * 2 + odd, 1 + pick(random, words / 2) * 2 + odd, pair.apart)
  const place = pick(random, inCloud.length + atHome.length)
  const sql = atHome[place - inCloud.length]
  const one = inCloud[place]
  if (sql !== undefined) await pair.primary.query(sql)
  if (one === undefined) return []
  await plant(pair.cloud, one.sql)
  const moved = { ...one, difference: ['extra', `${Number(one.difference[1]) + 100_000}`] }
  return one.name === 'move' ? [one, moved] : [one]
}

function plantsAt(term: number, word: number): Plant[] {
  const terms = (sql: string, name: string): Plant => ({
    name,
    sql,
    table: 'model_terms',
    difference: ['changed', '1', String(term)],
  })
  const lexicon = (sql: string, name: string): Plant => ({
    name,
    sql,
    table: 'lexicon',
    difference: ['changed', String(word)],
  })
  return [
    terms(`update model_terms set basis = '[1,2,4]' where model_id = 1 and term = ${term}`, 'edit'),
    terms(`delete from model_terms where model_id = 1 and term = ${term}`, 'delete'),
    terms(`update model_terms set basis = basis where model_id = 1 and term = ${term}`, 'rewrite'),
    terms(`select * from model_terms where model_id = 1 and term = ${term} for update`, 'lock'),
    lexicon(`savepoint s; update lexicon set documents = 7 where term = ${word}; release s`, 'edit inside'),
    lexicon(`savepoint s; delete from lexicon where term = ${word}; rollback to s`, 'no delete'),
    lexicon(`update lexicon set term = term + 100000 where term = ${word}`, 'move'),
  ]
}

function writesAt(term: number, word: number, apart: boolean): string[] {
  const some = `term between ${word} and ${word} + 50${apart ? ' and term % 2 = 0' : ''}`
  return [
    `update model_terms set basis = '[1,2,5]' where model_id = 1 and term = ${term}`,
    `delete from model_terms where model_id = 1 and term = ${term}`,
    `insert into model_terms values (1, ${many} + ${term}, '[1,2,6]') on conflict do nothing`,
    `update lexicon set documents = documents + 1 where ${some}`,
    'vacuum freeze lexicon',
  ]
}
