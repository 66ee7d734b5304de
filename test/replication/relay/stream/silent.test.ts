import t from 'tap'
import { startTcpProxy } from '../../../support/tcp-proxy.ts'
import { anything, insertedIds, publishNotes, takeRows, until, withSenderTimeout } from './support.ts'

t.test('a half-open connection is noticed, and nothing is lost by it', async (t) => {
  const primary = await publishNotes(t)
  const proxy = await startTcpProxy(t, primary.url)
  const stream = await primary.open({
    connectionString: withSenderTimeout(proxy.through(primary.url), 2),
  })
  await primary.db.query('insert into notes values (1)')
  const batch = await stream.nextBatch(anything)
  stream.ackDurable(batch?.end ?? '')
  await until(async () => (await primary.slotLsn()) === batch?.end)
  proxy.set({ isBlackhole: true })
  await primary.db.query('insert into notes values (2)')
  const readOn = async (): Promise<void> => {
    for (;;) {
      // An empty one may lead on past log that concerns nobody.
      const next = await stream.nextBatch(anything)
      t.same(next === null ? null : await insertedIds(next), [])
    }
  }
  await t.rejects(readOn(), {
    code: 'STREAM_SILENT',
    message: /has not been heard for \d s/,
  })
  await t.rejects(stream.nextBatch(anything), { code: 'STREAM_SILENT' }, 'and stays ended')
  stream.ackDurable(batch?.end ?? '')
  proxy.set()
  const again = await primary.open({ startLsn: batch?.end ?? '' })
  t.same(await takeRows(again, 1), [2])
})

t.test('a connection that is cut is an outage', async (t) => {
  const primary = await publishNotes(t)
  const proxy = await startTcpProxy(t, primary.url)
  const stream = await primary.open({ connectionString: proxy.through(primary.url) })
  const waiting = stream.nextBatch(anything)
  proxy.resetAll()
  await t.rejects(waiting, { code: 'PRIMARY_UNREACHABLE' })
})

t.test('a slow line that cuts messages into pieces changes nothing', async (t) => {
  const primary = await publishNotes(t)
  const proxy = await startTcpProxy(t, primary.url)
  proxy.set({ sliceBytes: 7, latencyMs: 1 })
  const stream = await primary.open({ connectionString: proxy.through(primary.url) })
  await primary.db.query(`insert into notes select n, md5(n::text) from generate_series(1, 40) n`)
  t.same(
    await takeRows(stream, 40),
    Array.from({ length: 40 }, (_, n) => n + 1),
  )
})
