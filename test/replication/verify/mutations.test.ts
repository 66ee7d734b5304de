import t from 'tap'
import type { Test } from 'tap'
import type pg from 'pg'
import { migrate } from '../../../core/migrate.ts'
import { createPool } from '../../../core/db.ts'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { setupReplication } from '../../../replication/setup.ts'
import { IncrementalVerifier } from '../../../replication/verify/incremental.ts'
import { verifyExact } from '../../../replication/verify/verify-exact.ts'
import { seeds } from '../../faults/support.ts'
import { testClusters } from '../../support/clusters.ts'
import { queryRows } from '../../support/databases.ts'
import { createRelayPair, startRelay } from '../../support/relay-pair.ts'
import { createPair, plant } from '../support.ts'
import { chooseMutations, heal, prepareMutations } from './mutations.ts'
import { expected, said, saidUnderWrites, startWriting, type Plant } from './plants.ts'

// What a verifier is worth: every difference is found and named, and nothing else is, while rows are written. Twenty
// seeds are 500 differences in either mode, and 60 runs without any.
interface Followed {
  primary: pg.Pool
  cloud: pg.Pool
  primaryUrl: string
  replicationUrl: string
}

t.test('native, the cloud with other settings and another order of texts', async (t) => {
  const pair = await createUnlikePair(t)
  await prepareMutations(pair.primary)
  await waitForCloud({ ...pair, timeoutMs: 120_000 })
  for (const seed of seeds({ quick: 1, full: 20 })) await mutate(t, pair, seed, 'native')
})

t.test('relay', async (t) => {
  const made = await createRelayPair(t, { prepare: prepareMutations })
  startRelay(t, made)
  await waitForCloud({ ...made, timeoutMs: 120_000 })
  const pair = { ...made, replicationUrl: made.settings['REPLICATION_DATABASE_URL'] ?? '' }
  for (const seed of seeds({ quick: 1, full: 20 })) await mutate(t, pair, seed, 'relay')
})

function mutate(t: Test, pair: Followed, seed: number, mode: string): Promise<unknown> {
  return t.test(`${mode}, seed ${seed}`, async (t) => {
    const nothing = { proven: [], undetermined: [] }
    const options = { ...pair, record: false, leafRows: 100 + 400 * (seed % 7) }
    const writing = startWriting(t, pair.primaryUrl, seed)
    t.strictSame(saidUnderWrites(await verifyExact(options)), nothing, 'quiet')
    const verifier = new IncrementalVerifier({ ...options, shareOfRest: 1 / 3 })
    t.teardown(() => verifier.close())
    t.strictSame(saidUnderWrites(await verifier.verify()), nothing, 'quiet, the first of many')
    const again = await verifier.verify()
    t.strictSame(saidUnderWrites(again), nothing, 'quiet, what changed')
    t.equal(again.find((one) => one.table === 'model_terms')?.isFull, false)

    const plants = chooseMutations(seed)
    await plant(pair.cloud, plants.map((one) => one.sql).join('; '))
    const found = saidUnderWrites(await verifyExact({ ...options, maxDifferences: 100 }))
    t.strictSame(found, { proven: expected(plants), undetermined: [] }, `${plants.length} differences`)
    await heal(pair, plants)

    await plantUnderWriters(t, pair, seed, mode)
    const rate = await writing.stop()
    t.ok(writing.count() > 100, `${writing.count()} transactions, ${Math.round(rate)} a second`)
    await waitForCloud({ ...pair, timeoutMs: 60_000 })
    const left = await differingTerms(pair)
    const names = left.map(({ term, kind }) =>
      ['lexicon', kind, term, ...(kind === 'changed' ? ['documents'] : [])].join(' '),
    )
    t.strictSame(said(await verifyExact(options)), { proven: names.sort(), undetermined: [] }, 'what is left')
    await heal(
      pair,
      left.map(({ term, kind }) => lexiconPlant(term, kind, '')),
    )
    t.comment(
      `${mode}, seed ${seed}: ${Math.round(rate)} transactions a second, ${left.length} of 4 not overwritten`,
    )
  })
}

/** Rows that every session writes all the time: found, or made right by the next write, and nothing else said. */
async function plantUnderWriters(t: Test, pair: Followed, seed: number, mode: string): Promise<void> {
  const terms = [1, 3, 5].map((term) => String((term + seed) % 8))
  const plants = terms.map((term) =>
    lexiconPlant(term, 'changed', `update lexicon set documents = documents + 5000 where term = ${term}`),
  )
  // A relay that finds no row for an update stops, as it should; a subscription of Postgres 15 says nothing.
  if (mode === 'native') {
    const term = String(seed % 8)
    plants.push(lexiconPlant(term, 'missing', `delete from lexicon where term = ${term}`))
  }
  await plant(pair.cloud, plants.map((one) => one.sql).join('; '))
  const { proven } = said(await verifyExact({ ...pair, record: false }))
  const known = expected(plants)
  t.strictSame(
    proven.filter((one) => !known.includes(one)),
    [],
    'no other row is called wrong',
  )
}

function lexiconPlant(term: string, kind: string, sql: string): Plant {
  const columns = kind === 'changed' ? ['documents'] : []
  return { name: kind, sql, table: 'lexicon', difference: [kind, term, ...columns] }
}

/** What is really not the same, by a look at every row once nobody writes. */
async function differingTerms({ primary, cloud }: Followed): Promise<{ term: string; kind: string }[]> {
  const read = async (db: pg.Pool): Promise<Map<string, string>> => {
    const { rows } = await db.query<{ term: string; documents: string }>(
      'select term::text as "term", documents::text as "documents" from lexicon',
    )
    return new Map(rows.map((row) => [row.term, row.documents]))
  }
  const [ours, theirs] = [await read(primary), await read(cloud)]
  return [...new Set([...ours.keys(), ...theirs.keys()])]
    .filter((term) => ours.get(term) !== theirs.get(term))
    .map((term) => ({
      term,
      kind: ours.has(term) ? (theirs.has(term) ? 'changed' : 'missing') : 'extra',
    }))
}

/** A native pair in which everything that a session may set, and the order of texts, is another one in the cloud. */
async function createUnlikePair(t: Test): Promise<Followed> {
  const pair = await createPair(t)
  const { cloud: cluster } = await testClusters()
  const name = new URL(pair.cloudUrl).pathname.slice(1)
  const admin = cluster.superuserUrl()
  await queryRows(admin, `drop database ${name}`)
  await queryRows(
    admin,
    `create database ${name} template template0 encoding 'UTF8' locale_provider icu icu_locale 'sv-u-kf-upper'`,
  )
  for (const [setting, value] of [
    ['timezone', 'Asia/Kathmandu'],
    ['datestyle', 'German, DMY'],
    ['intervalstyle', 'sql_standard'],
    ['extra_float_digits', '-5'],
    ['bytea_output', 'escape'],
  ]) {
    await queryRows(admin, `alter database ${name} set ${setting} = '${value}'`)
  }
  await migrate(pair.cloudUrl)
  await setupReplication(pair)
  const open = (connectionString: string): pg.Pool => {
    const pool = createPool({ connectionString, applicationName: 'homeport test' })
    t.teardown(() => pool.end())
    return pool
  }
  return { ...pair, primary: open(pair.primaryUrl), cloud: open(pair.cloudUrl) }
}
