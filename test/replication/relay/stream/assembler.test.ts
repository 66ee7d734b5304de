import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { HomeportError } from '../../../../core/errors.ts'
import type { PgoutputMessage } from '../../../../replication/pgoutput/messages.ts'
import { Assembler } from '../../../../replication/relay/stream/assembler.ts'
import { openSpillFolder } from '../../../../replication/relay/stream/spill-folder.ts'
import { createBatch } from '../../../../replication/relay/stream/stream-batch.ts'
import type { Transaction } from '../../../../replication/relay/stream/transaction.ts'
import { encodeMessage, tupleOf } from '../../../support/pgoutput-encoder.ts'
import { pick, randomNumbers } from '../../../support/random.ts'
import { decodePartFrames, readParts } from './support.ts'
import { runWalsenderModel, type ExpectedTransaction } from './walsender-model.ts'

const folder = await openSpillFolder(t.testdir())

function assembler(maxTransactionBytes = 1 << 20, maxOpenBytes = 1 << 20): Assembler {
  return new Assembler({
    protocol: 4,
    maxTransactionBytes,
    maxOpenBytes,
    newSpillPath: () => folder.newPath(),
  })
}

/** Feeds messages through memory that is overwritten after each, as the driver's is. */
function feed(target: Assembler, messages: readonly Buffer[]): Transaction[] {
  const transactions: Transaction[] = []
  const memory = Buffer.alloc(1 << 16)
  for (const message of messages) {
    message.copy(memory)
    const done = target.push(memory.subarray(0, message.length))
    memory.fill(0xff, 0, message.length)
    if (done !== null) transactions.push(done)
  }
  return transactions
}

/** What a receiver of the parts sees; every part must be enough by itself. */
async function received(
  transactions: readonly Transaction[],
  partBytes: number,
): Promise<ExpectedTransaction[]> {
  const seen: ExpectedTransaction[] = []
  const batch = createBatch({
    origin: { slot: 's', systemIdentifier: '1', timeline: 1 },
    after: 0n,
    end: transactions.at(-1)?.endLsn ?? 0n,
    transactions,
    partBytes,
  })
  let open: ExpectedTransaction | undefined
  const parts = await readParts(batch)
  for (const [number, part] of parts.entries()) {
    if (part.header.part !== number || part.header.isLastPart !== (number === parts.length - 1)) {
      throw new Error('the parts are not numbered')
    }
    const tables = new Map<number, string>()
    const types = new Set<number>()
    for (const message of decodePartFrames(part)) {
      if (message.type === 'begin') open = { xid: message.xid, endLsn: 0n, rows: [] }
      else if (message.type === 'type') types.add(message.oid)
      else if (message.type === 'relation') {
        if (message.oid === 13 && !types.has(99_001)) throw new Error('a type is missing')
        tables.set(message.oid, message.name)
      } else if (message.type === 'insert') {
        const table = tables.get(message.relationOid) ?? 'unknown'
        open?.rows.push({ id: Number(message.new.values[0]?.toString()), table })
      } else if (message.type === 'commit' && open !== undefined) {
        seen.push({ ...open, endLsn: message.endLsn })
      }
    }
  }
  await batch.release()
  return seen
}

t.test('whole transactions come out in commit order, however they interleave', async (t) => {
  let compared = 0
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.constantFrom(1, 200, 5_000, 1 << 20),
      fc.constantFrom(1, 300, 1 << 20),
      fc.constantFrom(1, 120, 1 << 20),
      async (seed, maxTransactionBytes, maxOpenBytes, partBytes) => {
        const random = randomNumbers(seed)
        const choose = (count: number): number => pick(random, count)
        const { messages, transactions } = runWalsenderModel(choose, 150)
        const target = assembler(maxTransactionBytes, maxOpenBytes)
        const result = await received(feed(target, messages), partBytes)
        await target.discard()
        compared += result.length
        return isDeepStrictEqual(result, transactions)
      },
    ),
    { numRuns: 200 },
  )
  t.ok(compared > 500, `${compared} transactions`)
})

const columns = [{ name: 'id', isKey: true, typeOid: 23, typeModifier: -1 }]
const relation = (oid: number, xid: number | null = null): PgoutputMessage => ({
  type: 'relation', xid, oid, schema: 'public', name: `t${oid}`, replicaIdentity: 'd', columns,
}) // prettier-ignore
const insert = (oid: number, id: string, xid: number | null = null): PgoutputMessage => ({
  type: 'insert', xid, relationOid: oid, new: tupleOf([id]),
}) // prettier-ignore
const begin = (lsn: bigint, xid = 7): PgoutputMessage => ({
  type: 'begin', commitLsn: lsn, commitTimeUs: 1n, xid,
}) // prettier-ignore
const commit = (lsn: bigint): PgoutputMessage => ({
  type: 'commit', commitLsn: lsn, endLsn: lsn + 10n, commitTimeUs: 1n,
}) // prettier-ignore
const block = (xid: number, isFirst: boolean): PgoutputMessage => ({ type: 'streamStart', xid, isFirst })
const stop: PgoutputMessage = { type: 'streamStop' }
const streamCommit = (xid: number, lsn: bigint): PgoutputMessage => ({
  type: 'streamCommit', xid, commitLsn: lsn, endLsn: lsn + 10n, commitTimeUs: 1n,
}) // prettier-ignore
const abort = (xid: number, subXid = xid): PgoutputMessage => ({
  type: 'streamAbort', xid, subXid, abortLsn: null, abortTimeUs: null,
}) // prettier-ignore
const message = (isTransactional: boolean, xid: number | null = null): PgoutputMessage => ({
  type: 'message', xid, isTransactional, lsn: 1n, prefix: 'p', content: Buffer.from('c'),
}) // prettier-ignore

t.test('what cannot come stops the stream', async (t) => {
  const table: [string, PgoutputMessage[]][] = [
    ['a commit without begin', [commit(10n)]],
    ['a change without begin', [insert(5, '1')]],
    ['a description without begin', [relation(5)]],
    ['begin in a transaction', [begin(10n), begin(20n)]],
    ['a change of a table that was not described', [begin(10n), insert(5, '1')]],
    ['a commit of another transaction', [begin(10n), commit(20n)]],
    ['a commit before the last one', [begin(50n), commit(50n), begin(40n), commit(40n)]],
    ['a block in a transaction', [begin(10n), block(8, true)]],
    ['a block in a block', [block(8, true), block(9, true)]],
    ['a block that goes on and never began', [block(8, false)]],
    ['a block that begins again', [block(8, true), stop, block(8, true)]],
    ['an end without a block', [stop]],
    ['begin in a block', [block(8, true), begin(10n)]],
    ['a streamed commit of an unknown transaction', [streamCommit(8, 10n)]],
    ['a streamed commit in a block', [block(8, true), streamCommit(8, 10n)]],
    ['an abort of an unknown transaction', [abort(8)]],
    ['an abort in a block', [block(8, true), abort(8)]],
    ['a second streamed commit', [block(8, true), stop, streamCommit(8, 10n), streamCommit(8, 30n)]],
    ['a transactional message without a transaction', [message(true)]],
    // What a streamed transaction was told, plain ones were not, unless it committed.
    ['a table described to an open stream only', [block(8, true), relation(5, 8), stop, begin(9n), insert(5, '1')]],
    ['a table described to others only', [begin(9n), relation(5), commit(9n), block(8, true), insert(5, '1', 8)]],
    ['fewer columns than described', [begin(9n), relation(5), { type: 'insert', xid: null, relationOid: 5, new: tupleOf([]) }]],
  ] // prettier-ignore
  for (const [name, messages] of table) {
    const target = assembler()
    const last = messages.at(-1) ?? stop
    feed(target, messages.slice(0, -1).map(encodeMessage))
    t.throws(() => target.push(encodeMessage(last)), { code: 'PGOUTPUT_DAMAGED' }, name)
  }
  t.throws(() => assembler().push(encodeMessage({ type: 'twoPhase', kind: 'beginPrepare' })), {
    code: 'TWO_PHASE_SLOT',
  })
})

t.test('messages outside of transactions are passed over, those inside are kept', async (t) => {
  const [transaction] = feed(
    assembler(),
    [message(false), begin(10n), message(true), commit(10n), message(false)].map(encodeMessage),
  )
  t.ok(transaction)
  const frames: Buffer[] = []
  for await (const group of transaction?.frames.read() ?? []) frames.push(...group)
  t.same(frames, [encodeMessage(message(true))])
  const streamed = feed(
    assembler(),
    [block(8, true), message(true, 8), stop, message(false), streamCommit(8, 10n)].map(encodeMessage),
  )
  t.equal(streamed.length, 1)
})

t.test('rows and segments are counted, without what was rolled back', async (t) => {
  const segments: PgoutputMessage = {
    type: 'relation', xid: 8, oid: 5, schema: 'public', name: 'segments', replicaIdentity: 'd', columns,
  } // prettier-ignore
  const messages = [
    block(8, true),
    segments,
    relation(6, 8),
    insert(5, '1', 8),
    insert(6, '2', 8),
    insert(5, '3', 9),
    insert(5, '4', 9),
    stop,
    abort(8, 9),
    block(8, false),
    { type: 'truncate', xid: 8, relationOids: [5, 6], cascade: false, restartIdentity: false },
    stop,
    streamCommit(8, 10n),
  ] satisfies PgoutputMessage[]
  for (const limit of [1, 1 << 20]) {
    const [transaction] = feed(assembler(limit), messages.map(encodeMessage))
    t.match(transaction, { rows: 2, segmentRows: 1, xid: 8, commitLsn: 10n, endLsn: 20n })
    t.equal(transaction?.frames.isSpilled, limit === 1)
    await transaction?.frames.release()
  }
})

t.test('an aborted transaction leaves nothing behind, on disk neither', async (t) => {
  const target = assembler(1)
  feed(target, [block(8, true), relation(5, 8), insert(5, '1', 8), stop].map(encodeMessage))
  t.ok(target.isOpen)
  feed(target, [abort(8)].map(encodeMessage))
  t.notOk(target.isOpen)
})

t.test('damage anywhere is a typed error', async (t) => {
  const damage = fc.record({
    at: fc.nat(2 ** 20),
    offset: fc.nat(2 ** 20),
    bit: fc.nat(7),
    kind: fc.constantFrom('flip', 'cut', 'longer', 'twice', 'lost', 'swapped', 'noise'),
  })
  let refused = 0
  await fc.assert(
    fc.asyncProperty(fc.integer(), damage, fc.uint8Array(), async (seed, how, noise) => {
      const random = randomNumbers(seed)
      const choose = (count: number): number => pick(random, count)
      const { messages } = runWalsenderModel(choose, 60)
      const at = how.at % Math.max(1, messages.length)
      const victim = Buffer.from(messages[at] ?? Buffer.alloc(1))
      const next = messages[at + 1]
      const replacement: Record<typeof how.kind, Buffer[]> = {
        flip: [victim],
        cut: [victim.subarray(0, how.offset % victim.length)],
        longer: [Buffer.concat([victim, Buffer.from(noise), Buffer.of(0)])],
        twice: [victim, victim],
        lost: [],
        swapped: next === undefined ? [] : [next, victim],
        noise: [Buffer.from(noise)],
      }
      const place = how.offset % victim.length
      if (how.kind === 'flip') victim[place] = (victim[place] ?? 0) ^ (1 << how.bit)
      messages.splice(at, how.kind === 'swapped' ? 2 : 1, ...replacement[how.kind])
      const target = assembler()
      try {
        feed(target, messages)
      } catch (error) {
        if (!(error instanceof HomeportError)) throw error
        if (!['PGOUTPUT_DAMAGED', 'TWO_PHASE_SLOT'].includes(error.code)) throw error
        refused += 1
      } finally {
        await target.discard()
      }
    }),
    { numRuns: 1_000 },
  )
  t.ok(refused > 300, `${refused} of 1000 were noticed; the rest changed values or lost whole changes`)
})
