import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { publishedTables, type PublishedTable } from '../../../core/published-tables.ts'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { compareTable, recheckKeys } from '../../../replication/verify/compare-table.ts'
import { nothingFound, type ExactVerification } from '../../../replication/verify/findings.ts'
import { Throttle } from '../../../replication/verify/pace.ts'
import { readSubjects } from '../../../replication/verify/subjects.ts'
import { verifyExact } from '../../../replication/verify/verify-exact.ts'
import { openWindow } from '../../../replication/verify/window.ts'
import { queryRows } from '../../support/databases.ts'
import { createReplication, insertTalk, plant, type Replication } from '../support.ts'
import { said } from './plants.ts'

let pair: Replication

t.before(async () => {
  pair = await createReplication(t)
  for (let id = 1; id <= 5; id += 1) await insertTalk(pair.primary, { id })
  await pair.primary.query(`insert into model_terms select 1, i, '[1,2,3]' from generate_series(1, 3000) i`)
  await pair.primary.query('insert into lexicon select i, 1 from generate_series(1, 10) i')
  await waitForCloud(pair)
})

function tables(...names: string[]): PublishedTable[] {
  return publishedTables.filter((table) => names.includes(table.name))
}

async function slotsLeft(): Promise<number> {
  const { rows } = await pair.primary.query<{ left: number }>(
    `select count(*)::int as "left" from pg_replication_slots where database = current_database() and temporary`,
  )
  return rows[0]?.left ?? -1
}

/** Without the position, which nobody can foretell. */
function brief({ table, verdict, primaryRows, cloudRows, reason }: ExactVerification): unknown[] {
  return [table, verdict, primaryRows, cloudRows, reason]
}

t.test('every table matches, with its rows counted, and the verdicts are recorded', async (t) => {
  const shown: string[] = []
  const results = await verifyExact({ ...pair, onTable: ({ table }) => shown.push(table) })
  t.strictSame(said(results), { proven: [], undetermined: [] })
  t.strictSame(
    results.map((one) => one.table),
    publishedTables.map((one) => one.name),
  )
  t.equal(shown.length, publishedTables.length)
  const { rows } = await pair.primary.query(
    `select verdict, row_count, lsn::text from verifications where table_name = 'model_terms'`,
  )
  t.match(rows, [{ verdict: 'match', row_count: '3000', lsn: /^[0-9A-F]+\/[0-9A-F]+$/ }])
  t.equal(await slotsLeft(), 0)
})

t.test('of many differences the first are named, and the others counted', async (t) => {
  await plant(pair.cloud, `update model_terms set basis = '[1,2,4]' where term > 10`)
  const [result] = await verifyExact({
    ...pair,
    record: false,
    tables: tables('model_terms'),
    maxDifferences: 4,
  })
  t.match(result, { verdict: 'drift', moreDifferences: 2986 })
  t.strictSame(
    result?.differences.map(({ key, columns }) => [...key, ...columns]),
    [11, 12, 13, 14].map((term) => ['1', String(term), 'basis']),
  )
  await plant(pair.cloud, `update model_terms set basis = '[1,2,3]' where term > 10`)
})

t.test('a tier compares its columns only, and says nothing for good about the others', async (t) => {
  await plant(
    pair.cloud,
    `update embeddings set embedding = '[1,1,1]' where segment_id = 2; delete from verifications`,
  )
  await pair.primary.query('delete from verifications')
  await waitForCloud(pair)
  const rows = await verifyExact({ ...pair, tier: 'rows' })
  t.strictSame(said(rows).proven, [])
  const recorded = await pair.primary.query<{ name: string }>(
    'select table_name as "name" from verifications',
  )
  const names = recorded.rows.map((row) => row.name)
  t.notOk(names.includes('embeddings'), 'its vectors were not looked at')
  t.ok(names.includes('segments'))
  const vectors = await verifyExact({ ...pair, record: false, tier: 'vectors' })
  t.strictSame(said(vectors).proven, ['embeddings changed 1 2 embedding'])
  t.strictSame(
    vectors.map((one) => one.table),
    ['model_terms', 'embeddings'],
  )
  await plant(pair.cloud, `update embeddings set embedding = '[1,0.5,0.25]' where segment_id = 2`)
})

// Row 27: Postgres 15 skips an update of a row that is not there, without a word.
t.test(
  'a lost row that is written all the time is undetermined, and drift once it holds still',
  async (t) => {
    await plant(pair.cloud, 'delete from lexicon where term = 3')
    let isWriting = true
    const writing = (async () => {
      while (isWriting)
        await pair.primary.query('update lexicon set documents = documents + 1 where term = 3')
    })()
    const options = { ...pair, record: false, rounds: 2, tables: tables('lexicon') }
    const [moving] = await verifyExact(options)
    isWriting = false
    await writing
    t.strictSame(brief(moving as ExactVerification), [
      'lexicon',
      'undetermined',
      10,
      9,
      'a row that differed (first: 3) changed during every comparison',
    ])
    t.strictSame(said(await verifyExact(options)).proven, ['lexicon missing 3'])
    await plant(pair.cloud, 'insert into lexicon values (3, 5)')
    await pair.primary.query('update lexicon set documents = 1 where term = 3')
  },
)

/** The primary, where this is written right before the beat of the first fence: between the two moments. */
function writingBetween(sql: string): { primary: typeof pair.primary; hasWritten: () => boolean } {
  let isWritten = false
  const primary = new Proxy(pair.primary, {
    get(pool, property) {
      const value: unknown = Reflect.get(pool, property)
      if (typeof value !== 'function') return value
      return (...words: unknown[]): unknown => {
        const call = (): unknown => value.apply(pool, words) as unknown
        const isBeat = property === 'query' && String(words[0]).includes('insert into heartbeat')
        if (!isBeat || isWritten) return call()
        isWritten = true
        return pool.query(sql).then(call)
      }
    },
  })
  return { primary, hasWritten: () => isWritten }
}

t.test('what was written between the two moments is looked at again, and not called drift', async (t) => {
  const first = writingBetween(
    `update sources set title = title || '!' where id = 1; delete from lexicon where term = 9;
     insert into lexicon values (90, 1); update lexicon set term = 80 where term = 8; truncate collection;
     insert into collection (documents, average_length) values (1, 1)`,
  )
  t.strictSame(said(await verifyExact({ ...pair, ...first, record: false, rounds: 1 })), {
    proven: [],
    undetermined: [
      'sources: a row that differed (first: 1) changed during every comparison',
      'lexicon: 4 rows that differed (first: 8) changed during every comparison',
      'collection: it was written as a whole during every comparison',
    ],
  })
  t.ok(first.hasWritten())
  const second = writingBetween(
    `update sources set title = title || '!' where id = 1; delete from lexicon where term = 90;
     insert into lexicon values (91, 1); update lexicon set term = 81 where term = 80; truncate collection`,
  )
  t.strictSame(said(await verifyExact({ ...pair, ...second, record: false, rounds: 2 })), {
    proven: [],
    undetermined: [],
  })
  t.ok(second.hasWritten())
})

t.test('what reaches the cloud after the marker, and before its snapshot, is not called drift', async (t) => {
  let isWritten = false
  const cloud = new Proxy(pair.cloud, {
    get(pool, property) {
      const value: unknown = Reflect.get(pool, property)
      if (typeof value !== 'function') return value
      if (property !== 'connect' || isWritten) return value.bind(pool) as unknown
      return async () => {
        isWritten = true
        await pair.primary.query('update lexicon set documents = documents + 1 where term = 2')
        await waitForCloud(pair)
        return pool.connect()
      }
    },
  })
  const options = { ...pair, cloud, record: false, rounds: 1, tables: tables('lexicon') }
  t.strictSame(said(await verifyExact(options)), {
    proven: [],
    undetermined: ['lexicon: a row that differed (first: 2) changed during every comparison'],
  })
  t.ok(isWritten)
})

t.test('what was written before the window is not touched in it', async (t) => {
  await pair.primary.query('update lexicon set documents = 7 where term = 1')
  const window = await openWindow({ ...pair, tables: publishedTables, withBeat: true })
  await pair.primary.query('update lexicon set documents = 1 where term = 1')
  t.notOk(window.isTouched('lexicon', ['1']))
  t.ok(window.isTouched('heartbeat', ['1']), 'the marker')
  t.equal(await slotsLeft(), 0, 'the slot does not live as long as the comparison')
  await window.close()
})

t.test('a cloud that does not follow is undetermined where it differs, at once', async (t) => {
  await pair.cloud.query('alter subscription homeport disable')
  await pair.primary.query('update lexicon set documents = 2 where term = 1')
  const results = await verifyExact({ ...pair, record: false, tables: tables('lexicon', 'sources') })
  t.strictSame(results.map(brief), [
    ['sources', 'match', 5, 5, null],
    ['lexicon', 'undetermined', 10, 10, 'the subscription is switched off'],
  ])
  await pair.cloud.query('alter subscription homeport enable')
  await waitForCloud(pair)
})

t.test('a table that is emptied after the moments of a window shows no moment any more', async (t) => {
  const throttle = new Throttle({ pace: 'full', readLagBytes: () => Promise.resolve(null) })
  const look = async (emptied: () => Promise<unknown>): Promise<unknown[]> => {
    const { subjects } = await readSubjects(pair, tables('lexicon'))
    const [subject] = subjects
    if (subject === undefined) throw new Error('no lexicon')
    const window = await openWindow({ ...pair, tables: tables('lexicon'), withBeat: true })
    try {
      await emptied()
      const options = { window, subject, throttle, maxDifferences: 20 }
      const all = await compareTable(options)
      const some = await recheckKeys({ ...options, keys: [['1'], ['2']], before: nothingFound })
      return [all, some].map(({ proven, open }) => [proven, open])
    } finally {
      await window.close()
    }
  }
  const nothingKnown = [
    [0, 'all'],
    [0, 'all'],
  ]
  const both = await look(async () => {
    await pair.primary.query('begin; truncate lexicon; insert into lexicon values (1, 9), (3, 1); commit')
    await waitForCloud(pair)
  })
  t.strictSame(both, nothingKnown)
  t.strictSame(await look(() => pair.primary.query('vacuum full lexicon')), nothingKnown, 'only one side')
  t.strictSame(
    await look(() => plant(pair.cloud, 'truncate lexicon; insert into lexicon values (1, 9), (3, 1)')),
    nothingKnown,
    'only the other',
  )
  t.strictSame(await look(() => Promise.resolve()), [
    [0, []],
    [0, []],
  ])
  t.strictSame(said(await verifyExact({ ...pair, record: false })), { proven: [], undetermined: [] })
})

t.test('a window can hold TRUNCATE off from its moments on', async (t) => {
  const window = await openWindow({ ...pair, tables: tables('collection'), withBeat: true, lockTables: true })
  for (const url of [pair.primaryUrl, pair.cloudUrl]) {
    const emptying = queryRows(url, `set lock_timeout = '100ms'; truncate collection`)
    await t.rejects(emptying, { code: '55P03' })
  }
  await window.close()
  await pair.primary.query('truncate collection')
  await waitForCloud(pair)
})

t.test('a table that is emptied again and again is compared all the same', async (t) => {
  const stop = new AbortController()
  const emptying = (async () => {
    while (!stop.signal.aborted) {
      await pair.primary.query('begin; truncate collection; insert into collection values (1, 1, 1); commit')
      await sleep(30)
    }
  })()
  t.teardown(() => stop.abort())
  for (let run = 0; run < 3; run += 1) {
    const results = await verifyExact({ ...pair, record: false, tables: tables('segments', 'collection') })
    t.strictSame(said(results), { proven: [], undetermined: [] })
  }
  stop.abort()
  await emptying
  await pair.primary.query('truncate collection')
  await waitForCloud(pair)
})

t.test('and the next window, or the next after that, says what it has', async (t) => {
  let looks = 0
  const emptyOnce = (): void => {
    looks += 1
    if (looks === 1) emptied = pair.primary.query('truncate lexicon; insert into lexicon values (5, 1)')
  }
  let emptied: Promise<unknown> = Promise.resolve()
  const results = await verifyExact({
    ...pair,
    record: false,
    tables: tables('segments', 'lexicon'),
    onProgress: emptyOnce,
  })
  await emptied
  t.strictSame(
    said(results),
    { proven: [], undetermined: [] },
    'whether it came before lexicon was read or after',
  )
})

t.test('a run that is stopped says so, records nothing and leaves nothing behind', async (t) => {
  await pair.primary.query('delete from verifications')
  const stop = new AbortController()
  const run = verifyExact({
    ...pair,
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('stopped here')),
  })
  await t.rejects(run, { message: 'stopped here' })
  t.strictSame((await pair.primary.query('select 1 from verifications')).rows, [])
  for (let wait = 0; wait < 50 && (await slotsLeft()) > 0; wait += 1) await sleep(20)
  t.equal(await slotsLeft(), 0)
})

t.test('a transaction that stays open is named, because a new slot waits for it', async (t) => {
  const open = await pair.primary.connect()
  await open.query('begin; insert into lexicon values (77, 1)')
  const { rows } = await open.query<{ pid: number }>('select pg_backend_pid() as "pid"')
  const window = openWindow({ ...pair, tables: publishedTables, withBeat: true, timeoutMs: 500 })
  await t.rejects(window, { code: 'SLOT_WAITS', message: new RegExp(`process ${rows[0]?.pid}`) })
  const waiting = openWindow({
    ...pair,
    tables: publishedTables,
    withBeat: true,
    signal: AbortSignal.timeout(300),
  })
  await t.rejects(waiting, { name: 'TimeoutError' }, 'also while it waits it can be stopped')
  t.equal(await slotsLeft(), 0)
  await open.query('rollback')
  open.release()
})
