import t from 'tap'
import { waitForCloud } from '../../replication/heartbeat.ts'
import { verifyTables, type TableVerification } from '../../replication/verify/verify-tables.ts'
import { createReplication, insertTalk, plant, type Replication } from './support.ts'

function of(results: readonly TableVerification[], table: string): TableVerification | undefined {
  return results.find((result) => result.table === table)
}

/** Only what the plant touched may be called drift, and nothing may be left open. */
function driftsOf(results: readonly TableVerification[]): Record<string, unknown> {
  return Object.fromEntries(
    results
      .filter((result) => result.verdict !== 'match')
      .map((result) => [
        result.table,
        {
          verdict: result.verdict,
          differences: result.differences.map((one) => [one.kind, ...one.key, ...one.columns]),
        },
      ]),
  )
}

let pair: Replication

t.before(async () => {
  pair = await createReplication(t)
  for (let id = 1; id <= 40; id += 1) {
    await insertTalk(pair.primary, { id, visibility: id % 10 === 0 ? 'private' : 'public' })
  }
  await pair.primary.query(`insert into model_terms select 1, i, '[1,2,3]' from generate_series(-50, 50) i`)
  await pair.primary.query(`update segments set speaker = '' where id = 3`)
  await waitForCloud(pair)
})

t.test('equal sides match, the monitor’s own rows included, and the verdicts travel', async (t) => {
  const results = await verifyTables(pair)
  t.strictSame(driftsOf(results), {})
  t.equal(of(results, 'segments')?.primaryRows, 36, 'private rows do not count')
  t.equal(of(results, 'segments')?.cloudRows, 36)
  t.strictSame(driftsOf(await verifyTables(pair)), {}, 'also when the verdicts themselves have changed')
  await waitForCloud(pair)
  const { rows } = await pair.cloud.query(
    `select verdict, row_count from verifications where table_name = 'segments'`,
  )
  t.strictSame(rows, [{ verdict: 'match', row_count: '36' }])
})

interface Fault {
  name: string
  /** on the cloud */
  sql: string
  undo: string
  table: string
  differences: readonly (readonly string[])[]
}

const faults: readonly Fault[] = [
  {
    name: 'a changed byte in a text',
    sql: `update segments set text = overlay(text placing 'W' from 1) where id = 7`,
    undo: `update segments set text = overlay(text placing 'w' from 1) where id = 7`,
    table: 'segments',
    differences: [['changed', '7', 'text']],
  },
  {
    name: 'null in place of an empty text',
    sql: `update segments set speaker = null where id = 3`,
    undo: `update segments set speaker = '' where id = 3`,
    table: 'segments',
    differences: [['changed', '3', 'speaker']],
  },
  {
    name: 'a text that moved to the next column',
    sql: `update segments set speaker = null, chapter = '' where id = 3`,
    undo: `update segments set speaker = '', chapter = null where id = 3`,
    table: 'segments',
    differences: [['changed', '3', 'chapter', 'speaker']],
  },
  {
    name: 'a microsecond',
    sql: `update sources set processed_at = processed_at + interval '1 microsecond' where id = 9`,
    undo: `update sources set processed_at = processed_at - interval '1 microsecond' where id = 9`,
    table: 'sources',
    differences: [['changed', '9', 'processed_at']],
  },
  {
    name: 'a flipped vector',
    sql: `update embeddings set embedding = '[-1,-0.5,-0.25]' where segment_id = 11`,
    undo: `update embeddings set embedding = '[1,0.5,0.25]' where segment_id = 11`,
    table: 'embeddings',
    differences: [['changed', '1', '11', 'embedding']],
  },
  {
    name: 'two rows with each other’s content',
    sql: `update segments a set text = b.text from segments b where (a.id, b.id) in ((12, 13), (13, 12))`,
    undo: `update segments a set text = b.text from segments b where (a.id, b.id) in ((12, 13), (13, 12))`,
    table: 'segments',
    differences: [
      ['changed', '12', 'text'],
      ['changed', '13', 'text'],
    ],
  },
  {
    name: 'a missing row, first of its key',
    sql: `delete from model_terms where term = -50`,
    undo: `insert into model_terms values (1, -50, '[1,2,3]')`,
    table: 'model_terms',
    differences: [['missing', '1', '-50']],
  },
  {
    name: 'an extra row, last of its key',
    sql: `insert into model_terms values (1, 51, '[1,2,3]')`,
    undo: `delete from model_terms where term = 51`,
    table: 'model_terms',
    differences: [['extra', '1', '51']],
  },
  {
    name: 'a private row that leaked',
    sql: `insert into segments (id, source_id, visibility, ordinal, text, turns, engine, change_seq)
          values (10, 9, 'public', 1, 'words of 10', '[]', 'test', 10)`,
    undo: `delete from segments where id = 10`,
    table: 'segments',
    differences: [['extra', '10']],
  },
  {
    // An update of a row that is not there is skipped without a word, so no beat arrives any more.
    name: 'a heartbeat that is gone',
    sql: `delete from heartbeat`,
    undo: `insert into heartbeat values (1, 0, now(), '0/0')`,
    table: 'heartbeat',
    differences: [['missing', '1']],
  },
]

for (const fault of faults) {
  t.test(`${fault.name} is named`, async (t) => {
    // Rows of three to a leaf, so that every plant is drilled down to.
    const tables = { ...pair, leafRows: 3, record: false }
    await plant(pair.cloud, fault.sql)
    const results = await verifyTables(tables)
    t.strictSame(driftsOf(results), { [fault.table]: { verdict: 'drift', differences: fault.differences } })
    await plant(pair.cloud, fault.undo)
    await waitForCloud(pair)
    t.strictSame(
      driftsOf(await verifyTables({ ...pair, record: false })),
      {},
      'and nothing once it is undone',
    )
  })
}

t.test('of many differences the first are named, and it is said that there are more', async (t) => {
  await plant(pair.cloud, `update model_terms set basis = '[3,2,1]'`)
  const result = of(await verifyTables({ ...pair, record: false, leafRows: 10 }), 'model_terms')
  t.equal(result?.verdict, 'drift')
  t.equal(result?.differences.length, 20)
  t.equal(result?.moreDifferences, true)
  await plant(pair.cloud, `update model_terms set basis = '[1,2,3]'`)
})

t.test('a subscription that is switched off is undetermined at once, and never a match', async (t) => {
  await pair.cloud.query('alter subscription homeport disable')
  await pair.primary.query('insert into lexicon values (99, 1)')
  const results = await verifyTables({ ...pair, record: false })
  t.equal(of(results, 'lexicon')?.verdict, 'undetermined')
  t.match(of(results, 'lexicon')?.reason, /switched off/)
  t.equal(of(results, 'sources')?.verdict, 'match', 'equal hashes are equal rows')
  await pair.cloud.query('alter subscription homeport enable')
  await waitForCloud(pair)
  t.equal(of(await verifyTables({ ...pair, record: false }), 'lexicon')?.verdict, 'match')
})
