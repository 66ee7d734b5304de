import t from 'tap'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { verifyExact } from '../../../replication/verify/verify-exact.ts'
import { isFull, seeds } from '../../faults/support.ts'
import { createReplication, plant, type Replication } from '../support.ts'
import { choosePlants, expected, prepareContent, saidUnderWrites, startWriting } from './plants.ts'

// Rows 31 and 32 of the fault catalogue: what is wrong is named, what is on its way is not called wrong.
let pair: Replication

t.before(async () => {
  pair = await createReplication(t)
  await prepareContent(pair.primary)
  await waitForCloud(pair)
})

for (const seed of seeds({ quick: 2, full: 8 })) {
  t.test(
    `native, seed ${seed}: no false alarm while rows are written, and every plant is named`,
    async (t) => {
      const writing = startWriting(t, pair.primaryUrl, seed)
      const options = { ...pair, record: false, leafRows: 30 + (seed % 7) }
      for (let run = 0; run < (isFull ? 2 : 1); run += 1) {
        t.strictSame(
          saidUnderWrites(await verifyExact(options)),
          { proven: [], undetermined: [] },
          `quiet run ${run}`,
        )
      }
      const plants = choosePlants(seed)
      await plant(pair.cloud, plants.map((one) => one.sql).join('; '))
      t.strictSame(saidUnderWrites(await verifyExact(options)), {
        proven: expected(plants),
        undetermined: [],
      })
      const rate = await writing.stop()
      t.ok(writing.count() > 100, `${writing.count()} transactions, ${Math.round(rate)} a second`)
      await restore()
    },
  )
}

/** The cloud's rows as they were before the plants. */
async function restore(): Promise<void> {
  await plant(
    pair.cloud,
    `delete from model_terms where model_id = 0; delete from embeddings where model_id = 9;
     delete from segment_terms where segment_id = -7 or segment_id between 1 and 60; delete from model_terms;
     update embeddings set embedding = '[1,0.5,0.25]' where segment_id between 1 and 60;
     update segments set confidence = 0.5, speaker = '', chapter = null, text = 'words of ' || id where id between 1 and 60`,
  )
  await pair.primary.query(`update sources set processed_at = processed_at where id between 1 and 60`)
  await pair.primary.query(`delete from model_terms`)
  await pair.primary.query(`delete from segment_terms where segment_id between 1 and 60`)
  await pair.primary.query(`insert into model_terms select 1, i, '[1,2,3]' from generate_series(0, 199) i`)
  await pair.primary.query(
    `insert into segment_terms select i, 'public', '{1,2}', '{1,1}', 2 from generate_series(1, 60) i`,
  )
  await waitForCloud(pair)
}
