import t from 'tap'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { verifyExact } from '../../../replication/verify/verify-exact.ts'
import { seeds } from '../../faults/support.ts'
import { createRelayPair, startRelay } from '../../support/relay-pair.ts'
import { plant } from '../support.ts'
import { choosePlants, expected, prepareContent, saidUnderWrites, startWriting } from './plants.ts'

for (const seed of seeds({ quick: 1, full: 6 })) {
  t.test(
    `relay, seed ${seed}: no false alarm while rows are written, and every plant is named`,
    async (t) => {
      const pair = await createRelayPair(t, { prepare: prepareContent })
      startRelay(t, pair)
      await waitForCloud(pair)
      const writing = startWriting(t, pair.primaryUrl, seed)
      const replicationUrl = pair.settings['REPLICATION_DATABASE_URL'] ?? ''
      const options = { ...pair, replicationUrl, record: false, leafRows: 30 + (seed % 7) }
      t.strictSame(
        saidUnderWrites(await verifyExact(options)),
        { proven: [], undetermined: [] },
        'a quiet run',
      )
      const plants = choosePlants(seed)
      await plant(pair.cloud, plants.map((one) => one.sql).join('; '))
      t.strictSame(saidUnderWrites(await verifyExact(options)), {
        proven: expected(plants),
        undetermined: [],
      })
      const rate = await writing.stop()
      t.ok(writing.count() > 100, `${writing.count()} transactions, ${Math.round(rate)} a second`)
    },
  )
}
