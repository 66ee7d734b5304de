import { readFile } from 'node:fs/promises'
import t from 'tap'
import { connect } from '../../../../core/db.ts'
import { privateCluster } from '../../../support/clusters.ts'
import { anything, publishTables, takeRows, until, withSenderTimeout } from './support.ts'

t.test('a primary that shuts down is let go, whatever has not been acknowledged', async (t) => {
  const cluster = await privateCluster(t)
  const url = cluster.superuserUrl()
  for (const maxBufferedBytes of [32 << 20, 1]) {
    const primary = await publishTables(t, url)
    const stream = await primary.open({ connectionString: withSenderTimeout(url, 6), maxBufferedBytes })
    await primary.db.query(`insert into notes select n, md5(n::text) from generate_series(1, 1000) n`)
    const batch = await stream.nextBatch(anything)
    // With a small limit the stream does not read any more, and hears nothing that the server says.
    for (let n = 1_001; n <= 3_000; n++) await primary.db.query(`insert into notes values (${n})`)
    await until(async () => stream.queuedBytes > 0)
    await primary.db.end()
    const waiting = stream.nextBatch({ maxRows: 1, maxBytes: 1 })
    await cluster.stop()
    const log = await readFile(cluster.logFile, 'utf8')
    t.notMatch(log, /immediate shutdown/, 'it did not have to be forced')
    t.ok(await waiting)
    await t.rejects(stream.nextBatch(anything), { code: 'PRIMARY_UNREACHABLE', message: /shutting down/ })
    await cluster.start()
    const again = await primary.open({ startLsn: batch?.after ?? '' })
    t.equal((await takeRows(again, 3_000)).length, 3_000)
    await again.close()
    const db = await connect({ connectionString: url, applicationName: 'homeport test' })
    await db.query(`select pg_drop_replication_slot($1)`, [primary.slot])
    await db.query(`drop publication "With, ""quotes"""; drop table notes`)
    await db.end()
  }
})
