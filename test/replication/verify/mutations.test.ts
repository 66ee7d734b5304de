import t from 'tap'
import type { Test } from 'tap'
import type pg from 'pg'
import type { Cluster } from '../../../ops/local/cluster.ts'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { IncrementalVerifier } from '../../../replication/verify/incremental.ts'
import { verifyExact } from '../../../replication/verify/verify-exact.ts'
import { isFull, seeds } from '../../faults/support.ts'
import { privateCluster17, withoutPostgres17 } from '../../support/postgres-17.ts'
import { createRelayPair, startRelay } from '../../support/relay-pair.ts'
import { plant } from '../support.ts'
import { chooseMutations, heal, oneInAMillion, prepareMillion, prepareMutations } from './mutations.ts'
import { expected, said, saidUnderWrites, startWriting, type Plant } from './plants.ts'
import { startWritingRows } from './row-writer.ts'
import { createUnlikePair, unlikeSettings, type Followed } from './unlike-pair.ts'

// What a verifier is worth: every difference is found and named, and nothing else is, while more than 500 rows a
// second are written. In full, in each mode: 500 differences, and 60 runs without any.
const nothing = { proven: [], undetermined: [] }
const numbers = seeds({ quick: 1, full: 20 })

type Mode = 'native' | 'relay'

t.test('native, the cloud with other settings and another order of texts', async (t) => {
  await mutateAll(t, await createNative(t), 'native')
})

t.test('relay', async (t) => {
  await mutateAll(t, await createRelayed(t), 'relay')
})

t.test('native, such a cloud with Postgres 17', { skip: withoutPostgres17() }, async (t) => {
  await mutateAll(t, await createNative(t, await privateCluster17(t, 'cloud')), 'native')
})

t.test('relay, into such a cloud with Postgres 17', { skip: withoutPostgres17() }, async (t) => {
  await mutateAll(t, await createRelayed(t, await privateCluster17(t, 'cloud')), 'relay')
})

async function createNative(t: Test, cloudCluster?: Cluster): Promise<Followed> {
  const pair = await createUnlikePair(t, cloudCluster)
  await prepareMutations(pair.primary)
  return pair
}

async function createRelayed(t: Test, cloudCluster?: Cluster): Promise<Followed> {
  const prepare = async (primary: pg.Pool, cloud: pg.Pool): Promise<void> => {
    await prepareMutations(primary)
    if (cloudCluster === undefined) return
    for (const statement of unlikeSettings('homeport')) await cloud.query(statement)
  }
  const options = cloudCluster === undefined ? { prepare } : { prepare, cloudCluster }
  const pair = await createRelayPair(t, options)
  startRelay(t, pair)
  return { ...pair, replicationUrl: pair.settings['REPLICATION_DATABASE_URL'] ?? '' }
}

async function mutateAll(t: Test, pair: Followed, mode: Mode): Promise<void> {
  await waitForCloud({ ...pair, timeoutMs: 120_000 })
  const found = { quietRuns: 0, differences: 0 }
  for (const seed of numbers) {
    await t.test(`seed ${seed}`, async (t) => {
      const { quietRuns, differences } = await mutate(t, pair, seed, mode)
      found.quietRuns += quietRuns
      found.differences += differences
    })
  }
  t.comment(`${found.differences} differences named, ${found.quietRuns} quiet runs`)
  if (numbers.length >= 20)
    t.ok(found.quietRuns >= 50 && found.differences >= 500, 'as many as were promised')
  if (isFull) await t.test('one row in a million', (t) => mutateMillion(t, pair))
}

/** One seed's differences, after runs that find none; how many there were of both. */
async function mutate(
  t: Test,
  pair: Followed,
  seed: number,
  mode: Mode,
): Promise<{ quietRuns: number; differences: number }> {
  const options = { ...pair, record: false, leafRows: 100 + 400 * (seed % 7) }
  const writing = await startAllWriters(t, pair, seed)
  const verifier = new IncrementalVerifier({ ...options, shareOfRest: 1 / 3 })
  t.teardown(() => verifier.close())
  t.strictSame(saidUnderWrites(await verifyExact(options)), nothing, 'quiet')
  t.strictSame(saidUnderWrites(await verifier.verify()), nothing, 'quiet, the first of many')
  const again = await verifier.verify()
  t.strictSame(saidUnderWrites(again), nothing, 'quiet, what changed')
  // Nobody writes into this one; where much was written, a slow run may find it quicker to compare all.
  t.equal(again.find((one) => one.table === 'models')?.isFull, false)

  const plants = chooseMutations(seed)
  await plant(pair.cloud, plants.map((one) => one.sql).join('; '))
  const found = saidUnderWrites(await verifyExact({ ...options, maxDifferences: 100 }))
  t.strictSame(found, { proven: expected(plants), undetermined: [] }, `${plants.length} differences`)
  await heal(pair, plants)

  await plantUnderWriters(t, pair, seed, mode)
  const wrote = await writing.stop()
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
  await removeWritten(pair)
  t.comment(`seed ${seed}: ${wrote}; ${left.length} of what was planted there was not overwritten`)
  return { quietRuns: 3, differences: plants.length }
}

/** The workload's transactions and, beside them, rows at a steady pace. */
async function startAllWriters(t: Test, pair: Followed, seed: number): Promise<{ stop(): Promise<string> }> {
  const rows = await startWritingRows(t, pair.primaryUrl, seed)
  const transactions = startWriting(t, pair.primaryUrl, seed)
  return {
    async stop() {
      const [rowRate, rate] = await Promise.all([rows.stop(), transactions.stop()])
      t.ok(rows.count() > 500, `${rows.count()} rows`)
      t.ok(transactions.count() > 100, `${transactions.count()} transactions`)
      return `${Math.round(rowRate)} rows a second, beside ${Math.round(rate)} transactions a second`
    },
  }
}

/** What the writers leave grows from seed to seed, and every look would take longer than the last one. */
async function removeWritten(pair: Followed): Promise<void> {
  await pair.primary.query(`
    delete from sources where id > 1000000;
    delete from verifications where split_part(table_name, ' ', 3) <> '';
    delete from tombstones`)
  await waitForCloud({ ...pair, timeoutMs: 60_000 })
  await Promise.all([pair.primary, pair.cloud].map((db) => db.query('vacuum analyze')))
}

async function mutateMillion(t: Test, pair: Followed): Promise<void> {
  await prepareMillion(pair.primary)
  await waitForCloud({ ...pair, timeoutMs: 600_000 })
  const writing = await startAllWriters(t, pair, 1)
  const options = { ...pair, record: false }
  t.strictSame(saidUnderWrites(await verifyExact(options)), nothing, 'quiet')
  await plant(pair.cloud, oneInAMillion.sql)
  const started = performance.now()
  const found = await verifyExact(options)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const { primaryRows } = found.find((one) => one.table === oneInAMillion.table) ?? {}
  t.strictSame(saidUnderWrites(found), { proven: expected([oneInAMillion]), undetermined: [] })
  t.comment(`one bit in ${primaryRows} rows, found in ${seconds} s; ${await writing.stop()}`)
}

/** Rows that every session writes all the time: found, or made right by the next write, and nothing else said. */
async function plantUnderWriters(t: Test, pair: Followed, seed: number, mode: Mode): Promise<void> {
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
