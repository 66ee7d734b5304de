import t from 'tap'
import { publishedTables } from '../../core/published-tables.ts'
import { waitForCloud } from '../../replication/heartbeat.ts'
import { readTableFacts } from '../../replication/table-facts.ts'
import { buildHashSql } from '../../replication/verify/row-hash.ts'
import { settleKeys } from '../../replication/verify/settle.ts'
import { createReplication, plant } from './support.ts'

t.test(
  'rows that were being written are settled one by one, and nothing on its way is called wrong',
  async (t) => {
    const pair = await createReplication(t)
    await pair.primary.query('insert into lexicon select i, 1 from generate_series(1, 6) i')
    await waitForCloud(pair)
    await plant(
      pair.cloud,
      'update lexicon set documents = 9 where term = 2; delete from lexicon where term = 3',
    )
    const table = publishedTables.find((one) => one.name === 'lexicon')
    if (table === undefined) throw new Error('no lexicon')
    const primaryFacts = (await readTableFacts(pair.primary, [table])).get('lexicon')
    const cloudFacts = (await readTableFacts(pair.cloud, [table])).get('lexicon')
    if (primaryFacts === undefined || cloudFacts === undefined) throw new Error('no facts')
    let round = 0
    const settled = await settleKeys(
      ['1', '2', '3', '4', '5', '6', '7'].map((term) => ({ key: [term], primary: null, cloud: null })),
      {
        ...pair,
        primarySql: buildHashSql(table, primaryFacts, true),
        cloudSql: buildHashSql(table, cloudFacts, false),
        columns: table.columns,
        rounds: 3,
        passFence: async () => {
          round += 1
          // 4 changes once, 5 in every round, 6 goes, 7 has come and gone when it is looked at again, and is on the cloud.
          if (round === 1) await pair.primary.query('update lexicon set documents = 2 where term = 4')
          if (round === 1) await pair.primary.query('delete from lexicon where term = 6')
          await pair.primary.query('update lexicon set documents = documents + 1 where term = 5')
          if (round > 1) return true
          await pair.primary.query('insert into lexicon values (7, 1)')
          await waitForCloud(pair)
          await pair.primary.query(`alter publication homeport set (publish = 'insert')`)
          await pair.primary.query('delete from lexicon where term = 7')
          await pair.primary.query(
            `alter publication homeport set (publish = 'insert, update, delete, truncate')`,
          )
          return true
        },
      },
    )
    t.equal(round, 3)
    t.strictSame(settled.differences, [
      { key: ['2'], kind: 'changed', columns: ['documents'] },
      { key: ['3'], kind: 'missing', columns: [] },
    ])
    t.strictSame(settled.open, [['5'], ['7']])
  },
)
