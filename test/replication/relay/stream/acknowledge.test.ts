import t from 'tap'
import { formatLsn, parseLsn } from '../../../../core/lsn.ts'
import { Assembler } from '../../../../replication/relay/stream/assembler.ts'
import { decodeCopyData } from '../../../../replication/relay/stream/copy-data.ts'
import { renderStartCommand } from '../../../../replication/relay/stream/start-command.ts'
import type { Transaction } from '../../../../replication/relay/stream/transaction.ts'
import { openWalConnection, type WalConnection } from '../../../../replication/relay/stream/wal-connection.ts'
import {
  anything,
  insertedIds,
  oneTransaction,
  publishNotes,
  slotReader,
  takeRows,
  until,
  type Published,
} from './support.ts'

/** Commits of two sessions, one right behind the other in the log: where the first ends, the second begins. */
async function adjacentCommits(primary: Published): Promise<[number, number]> {
  const sessions = [await primary.session(), await primary.session()]
  for (let id = 1; ; id += 2) {
    for (const [n, session] of sessions.entries()) {
      await session.query('begin')
      await session.query('insert into notes values ($1)', [id + n])
    }
    await Promise.all(sessions.map((session) => session.query('commit')))
    const [first, second] = await peekCommits(primary)
    if (first !== undefined && first.end === second?.begin) return [first.id, second.id]
    // Somebody else wrote in between: again, without these two.
    await primary.db.query(`select pg_replication_slot_advance($1, pg_current_wal_lsn())`, [primary.slot])
  }
}

interface PeekedCommit {
  begin: bigint
  end: bigint
  id: number
}

/** What waits in the slot, without taking it. */
async function peekCommits(primary: Published): Promise<PeekedCommit[]> {
  const { rows } = await primary.db.query<{ data: Buffer }>(
    `select data from pg_logical_slot_peek_binary_changes($1, null, null,
       'proto_version', '1', 'publication_names', '"With, ""quotes"""')`,
    [primary.slot],
  )
  const assembler = new Assembler({
    protocol: 1,
    maxTransactionBytes: 1e6,
    maxOpenBytes: 1e6,
    newSpillPath: () => '',
  })
  const whole = rows.map(({ data }) => assembler.push(data)).filter((one) => one !== null)
  return Promise.all(
    whole.map(async (one) => ({ begin: one.commitLsn, end: one.endLsn, id: await insertedId(one) })),
  )
}

async function insertedId(transaction: Transaction): Promise<number> {
  for await (const frames of transaction.frames.read()) {
    const row = frames.find((frame) => frame[0] === 0x49)
    // tag, relation, mark, count of columns, kind, length
    if (row !== undefined) return Number(row.toString('latin1', 13, 13 + row.readInt32BE(9)))
  }
  throw new Error('no row')
}

t.test('of two adjacent commits, the second comes again when only the first was acknowledged', async (t) => {
  const primary = await publishNotes(t)
  const [firstId, secondId] = await adjacentCommits(primary)
  const stream = await primary.open()
  const first = await stream.nextBatch(oneTransaction)
  const second = await stream.nextBatch(oneTransaction)
  if (first === null || second === null) throw new Error('the stream ended')
  t.same([await insertedIds(first), await insertedIds(second)], [[firstId], [secondId]])
  const before = await primary.slotLsn()
  stream.ackDurable(first.end)
  await until(async () => (await primary.slotLsn()) !== before)
  t.equal(await primary.slotLsn(), first.end)
  // The relay dies here: its session goes without a word.
  await killReader(primary)
  await t.rejects(stream.nextBatch(anything), { code: 'PRIMARY_UNREACHABLE' })
  for (const startLsn of [first.end, '0/0']) {
    const again = await primary.open({ startLsn })
    t.same(await insertedIds((await again.nextBatch(anything)) ?? first), [secondId], `from ${startLsn}`)
    await killReader(primary)
  }
})

t.test('one byte more loses the second commit without a word', async (t) => {
  // What stands between is encodeStatusUpdate: this is what it must never do.
  for (const { offset, comes } of [
    { offset: 0n, comes: true },
    { offset: 1n, comes: false },
  ]) {
    const primary = await publishNotes(t)
    const [firstId, secondId] = await adjacentCommits(primary)
    const raw = await openRaw(primary)
    await until(async () => raw.transactions.length === 2)
    const end = raw.transactions[0]?.endLsn ?? 0n
    const before = await primary.slotLsn()
    raw.connection.sendStatus(end + offset, false)
    await until(async () => (await primary.slotLsn()) !== before)
    await killReader(primary)
    await primary.db.query('insert into notes values (1000000)')
    const again = await primary.open()
    const expected = comes ? [secondId, 1_000_000] : [1_000_000]
    t.same(await takeRows(again, expected.length), expected, `acknowledged ${offset} bytes past ${firstId}`)
  }
})

t.test('nothing moves the slot but an acknowledgement, and only to the end of a batch', async (t) => {
  const primary = await publishNotes(t)
  const before = await primary.slotLsn()
  const stream = await primary.open()
  t.equal(stream.ackedLsn, before)
  await primary.db.query('insert into notes select n from generate_series(1, 3) n')
  const batch = await stream.nextBatch(anything)
  if (batch === null) throw new Error('the stream ended')
  t.equal(batch.after, before)
  t.throws(() => stream.ackDurable(formatLsn(parseLsn(batch.end) + 1n)), { code: 'ACKNOWLEDGED_TOO_FAR' })
  t.throws(() => stream.ackDurable(formatLsn(parseLsn(batch.end) - 1n)), { code: 'ACKNOWLEDGED_TOO_FAR' })
  stream.ackDurable(before)
  await stream.close()
  t.equal(await primary.slotLsn(), before, 'received, closed in order, and still where it was')
  const again = await primary.open({ startLsn: before })
  t.same(await takeRows(again, 3), [1, 2, 3])
  t.equal(again.ackedLsn, batch.end)
  await again.close()
  t.equal(await primary.slotLsn(), batch.end, 'the last acknowledgement has arrived when close returns')
  t.equal(await slotReader(primary.url, primary.slot), null)
  again.ackDurable(batch.end)
})

interface Raw {
  connection: WalConnection
  transactions: Transaction[]
}

/** The same connection with nobody behind it who acknowledges. */
async function openRaw(primary: Published): Promise<Raw> {
  const transactions: Transaction[] = []
  const assembler = new Assembler({
    protocol: 1,
    maxTransactionBytes: 1e6,
    maxOpenBytes: 1e6,
    newSpillPath: () => '',
  })
  const { slot, publication, url: connectionString } = primary
  const connection = await openWalConnection({
    connectionString,
    slot,
    publication,
    signal: new AbortController().signal,
    slotHeldTimeoutMs: 5_000,
    begin: () => ({
      command: renderStartCommand({ slot, publication, startLsn: '0/0', protocol: 1, binary: false }),
      handlers: {
        onMessage: (bytes) => {
          const message = decodeCopyData(bytes)
          const whole = message.kind === 'wal' ? assembler.push(message.payload) : null
          if (whole !== null) transactions.push(whole)
        },
        onEnd: () => undefined,
      },
    }),
  })
  return { connection, transactions }
}

async function killReader(primary: Published): Promise<void> {
  const pid = await slotReader(primary.url, primary.slot)
  await primary.db.query('select pg_terminate_backend($1)', [pid])
  await until(async () => (await slotReader(primary.url, primary.slot)) === null)
}
