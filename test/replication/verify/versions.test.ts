import t from 'tap'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { verifyExact } from '../../../replication/verify/verify-exact.ts'
import { privateCluster17, withoutPostgres17 } from '../../support/postgres-17.ts'
import { plant } from '../support.ts'
import { chooseMutations, prepareMutations } from './mutations.ts'
import { expected, said, saidUnderWrites } from './plants.ts'
import { startWritingRows } from './row-writer.ts'
import { createUnlikePair } from './unlike-pair.ts'

// The same values have the same hash on both sides, whatever the version, the locale and the settings of a server.
t.test(
  'a subscription of Postgres 17: all is the same, then every plant is named',
  { skip: withoutPostgres17() },
  async (t) => {
    const pair = await createUnlikePair(t, await privateCluster17(t, 'cloud'))
    const { rows } = await pair.cloud.query<{ version: number }>(
      `select current_setting('server_version_num')::integer / 10000 as "version"`,
    )
    t.strictSame(rows, [{ version: 17 }])
    await prepareMutations(pair.primary)
    await waitForCloud(pair)
    const options = { ...pair, record: false, maxDifferences: 100, leafRows: 500 }
    const writing = await startWritingRows(t, pair.primaryUrl, 1)
    t.strictSame(saidUnderWrites(await verifyExact(options)), { proven: [], undetermined: [] })
    const plants = chooseMutations(1)
    await plant(pair.cloud, plants.map((one) => one.sql).join('; '))
    t.strictSame(saidUnderWrites(await verifyExact(options)), { proven: expected(plants), undetermined: [] })
    await writing.stop()
    t.strictSame(
      said(await verifyExact(options)),
      { proven: expected(plants), undetermined: [] },
      'in silence',
    )
  },
)
