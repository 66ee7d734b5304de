import t from 'tap'
import { verifyTables } from '../../replication/verify/verify-tables.ts'
import { createReplication, insertTalk, plant } from './support.ts'

t.test('while rows come, change and go, nothing is called drift, and a planted fault is', async (t) => {
  const pair = await createReplication(t)
  for (let id = 1; id <= 20; id += 1) await insertTalk(pair.primary, { id })
  let writing = true
  let writes = 0
  // Deleting and inserting the same key, as ingest does; updating; beating: what a comparison trips over.
  const writer = (async () => {
    for (let id = 1000; writing; id += 1) {
      await insertTalk(pair.primary, { id })
      await pair.primary.query(`update segments set chapter = $1 where id = 1 + $2 % 20`, [`c${id}`, id])
      await pair.primary.query('delete from segment_terms where segment_id = 5')
      await pair.primary.query(`insert into segment_terms values (5, 'public', '{1,2}', '{1,1}', 2)`)
      if (id % 3 === 0) await pair.primary.query('delete from sources where id = $1', [id - 2])
      writes += 1
    }
  })()
  try {
    for (let round = 0; round < 3; round += 1) {
      const results = await verifyTables({ ...pair, rounds: 2 })
      t.strictSame(
        results.filter((result) => result.verdict === 'drift'),
        [],
        `round ${round}`,
      )
    }
    await plant(pair.cloud, `update sources set title = 'planted' where id = 20`)
    await plant(pair.cloud, `insert into segment_terms values (77, 'public', '{1}', '{1}', 1)`)
    const results = await verifyTables({ ...pair, rounds: 2 })
    const found = results.filter((result) => result.verdict === 'drift')
    t.strictSame(
      found.map((result) => [result.table, result.differences]),
      [
        ['sources', [{ key: ['20'], kind: 'changed', columns: ['title'] }]],
        ['segment_terms', [{ key: ['77'], kind: 'extra', columns: [] }]],
      ],
    )
  } finally {
    writing = false
    await writer
  }
  t.ok(writes > 20, `${writes} rounds of writes`)
})
