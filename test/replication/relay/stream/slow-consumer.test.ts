import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import {
  anything,
  publishNotes,
  slotReader,
  takeRows,
  until,
  withSenderTimeout,
  type Published,
} from './support.ts'

const senderTimeoutSeconds = 2

/** Transactions of 100 rows of 1 kB that do not compress. */
async function write(primary: Published, transactions: number): Promise<void> {
  for (let n = 0; n < transactions; n++) {
    await primary.db.query(
      `insert into notes select $1 * 100 + n, (select string_agg(md5(random()::text), '') from generate_series(1, 30), (select n) o)
       from generate_series(0, 99) n`,
      [n],
    )
  }
}

t.test('a consumer slower than wal_sender_timeout stays connected, and the slot stands still', async (t) => {
  const primary = await publishNotes(t)
  const before = await primary.slotLsn()
  const stream = await primary.open({
    connectionString: withSenderTimeout(primary.url, senderTimeoutSeconds),
    maxBufferedBytes: 256 * 1024,
  })
  t.equal(stream.identity.walSenderTimeoutMs, senderTimeoutSeconds * 1000)
  const reader = await slotReader(primary.url, primary.slot)
  t.ok(reader)
  // Twenty times what may lie here: the server cannot send it all.
  await write(primary, 60)
  await until(async () => stream.queuedBytes > 256 * 1024)
  await sleep(senderTimeoutSeconds * 3_000)
  t.equal(await slotReader(primary.url, primary.slot), reader, 'the same session, three timeouts later')
  t.equal(await primary.slotLsn(), before)
  t.ok(stream.queuedBytes < 1_000_000, `${stream.queuedBytes} bytes wait, the rest is not read`)
  const ids = await takeRows(stream, 6_000)
  t.same(
    ids,
    Array.from({ length: 6_000 }, (_, n) => n),
    'then everything comes, in order',
  )
  t.equal(await slotReader(primary.url, primary.slot), reader)
})

t.test('so does one that holds a batch that long while nothing is written', async (t) => {
  const primary = await publishNotes(t)
  const before = await primary.slotLsn()
  const stream = await primary.open({
    connectionString: withSenderTimeout(primary.url, senderTimeoutSeconds),
  })
  const reader = await slotReader(primary.url, primary.slot)
  await write(primary, 1)
  const batch = await stream.nextBatch(anything)
  // Keepalives come and are answered, with the position from before.
  const next = stream.nextBatch(anything)
  await primary.db.query('select pg_switch_wal()')
  await sleep(senderTimeoutSeconds * 2_000)
  t.equal(await slotReader(primary.url, primary.slot), reader)
  t.equal(await primary.slotLsn(), before, 'a keepalive never moves the slot')
  stream.ackDurable(batch?.end ?? '')
  const idle = await next
  t.match(idle, { after: batch?.end, oldestCommitAt: null })
})

t.test('batches that are held in memory make the socket wait, too', async (t) => {
  const primary = await publishNotes(t)
  const stream = await primary.open({ maxBufferedBytes: 256 * 1024 })
  await write(primary, 30)
  const held = []
  for (let rows = 0; rows < 400; rows += 100)
    held.push(await stream.nextBatch({ maxRows: 100, maxBytes: 1 << 20 }))
  await until(async () => stream.queuedBytes > 0)
  await sleep(300)
  const received = stream.receivedLsn
  await sleep(300)
  t.equal(stream.receivedLsn, received)
  for (const batch of held) await batch?.release()
  await until(async () => stream.receivedLsn !== received)
  stream.ackDurable(held.at(-1)?.end ?? '')
  t.equal((await takeRows(stream, 2_600)).length, 2_600)
})

t.test('an abort ends the waiting, and what was spilled goes with the stream', async (t) => {
  const primary = await publishNotes(t)
  const stop = new AbortController()
  const stream = await primary.open({ signal: stop.signal, maxBufferedBytes: 64 * 1024 })
  const waiting = stream.nextBatch(anything)
  stop.abort()
  t.equal(await waiting, null)
  await write(primary, 3)
  await until(async () => stream.queuedBytes > 0)
  t.equal(readdirSync(join(t.testdirName, 'spill')).length, 1, 'a transaction past the limit lies on disk')
  await stream.close()
  t.same(readdirSync(join(t.testdirName, 'spill')), [])
})
