import t from 'tap'
import type { Batch } from '../../../../replication/relay/batch.ts'
import { BatchQueue } from '../../../../replication/relay/stream/batch-queue.ts'
import { FrameLog } from '../../../../replication/relay/stream/frame-log.ts'
import { openSpillFolder } from '../../../../replication/relay/stream/spill-folder.ts'
import type { Transaction } from '../../../../replication/relay/stream/transaction.ts'
import { encodeMessage, tupleOf } from '../../../support/pgoutput-encoder.ts'
import { anything, decodePartFrames, readParts } from './support.ts'

const origin = { slot: 's', systemIdentifier: '1', timeline: 1 }
const relation = encodeMessage({
  type: 'relation',
  xid: null,
  oid: 5,
  schema: 'public',
  name: 'segments',
  replicaIdentity: 'd',
  columns: [{ name: 'id', isKey: true, typeOid: 23, typeModifier: -1 }],
})

function queue(): BatchQueue {
  return new BatchQueue({ origin, after: 100n, onRelease: () => undefined })
}

/** A transaction of some rows of `bytes` each, with its table described. */
function transaction(endLsn: bigint, { rows = 1, bytes = 10 } = {}): Transaction {
  const frames = new FrameLog()
  frames.append(relation)
  const row = encodeMessage({
    type: 'insert',
    xid: null,
    relationOid: 5,
    new: tupleOf([Buffer.alloc(bytes)]),
  })
  for (let n = 0; n < rows; n++) frames.append(row)
  return {
    xid: 7,
    commitLsn: endLsn - 5n,
    endLsn,
    commitTimeUs: 1_500_000n,
    rows,
    segmentRows: rows,
    frames,
    descriptions: [],
  }
}

t.test('a batch is whole transactions up to each limit, at least one, and follows on', async (t) => {
  const target = queue()
  for (let n = 1n; n <= 10n; n++) target.push(transaction(100n + n * 10n, { rows: 3 }))
  t.equal(target.take({ maxRows: 6, maxBytes: 1 << 20 })?.end, '0/78', 'rows')
  t.equal(target.take({ maxRows: 100, maxBytes: 1 << 20, maxSegments: 8 })?.end, '0/8C', 'rows of segments')
  t.equal(target.take({ maxRows: 0, maxBytes: 0, maxSegments: 0 })?.end, '0/96', 'never less than one')
  const bytes = transaction(1n, { rows: 3 }).frames.bytes
  t.match(target.take({ maxRows: 100, maxBytes: bytes * 2 + 1 }), { after: '0/96', end: '0/AA' }, 'bytes')
  const rest = target.take(anything)
  t.match(rest, { after: '0/AA', end: '0/C8', oldestCommitAt: '2000-01-01T00:00:01.500Z' })
  t.equal(target.take(anything), null)
  const [part] = await readParts(rest as Batch)
  t.same(part?.header, {
    ...origin,
    after: '0/AA',
    end: '0/C8',
    commit: '0/C3',
    transactions: 3,
    rows: 9,
    part: 0,
    isLastPart: true,
  })
})

t.test('rows of a table before and after it was altered are not in one batch', (t) => {
  const target = queue()
  const described = (text: string, sequence: number): Transaction['descriptions'] => [
    { oid: 5, columnCount: 1, isSegments: true, frames: [Buffer.from(text)], sequence },
  ]
  const sent = ['old', 'old', 'new', 'new', 'old'].entries()
  for (const [at, text] of sent) {
    target.push({ ...transaction(110n + BigInt(at) * 10n), descriptions: described(text, at) })
  }
  t.match(
    target.take(anything),
    { end: '0/78' },
    'one that is described again as it was goes with the others',
  )
  t.match(target.take(anything), { after: '0/78', end: '0/8C' })
  t.match(target.take(anything), { after: '0/8C', end: '0/96' })
  t.equal(target.take(anything), null)
  t.end()
})

t.test('a table is described once, before the first transaction', async (t) => {
  const target = queue()
  for (let n = 1n; n <= 3n; n++) target.push(transaction(100n + n * 10n))
  const [part] = await readParts(target.take(anything) as Batch)
  const types = part === undefined ? [] : decodePartFrames(part).map((message) => message.type)
  t.same(types, [
    'relation',
    ...['begin', 'insert', 'commit', 'begin', 'insert', 'commit'],
    'begin',
    'insert',
    'commit',
  ])
})

t.test('what is on disk comes alone, in parts, as often as it is wanted', async (t) => {
  const folder = await openSpillFolder(t.testdir())
  const target = queue()
  const large = transaction(120n, { rows: 300, bytes: 100_000 })
  large.frames.spill(folder.newPath())
  large.frames.seal()
  target.push(transaction(110n))
  target.push(large)
  target.push(transaction(130n))
  t.equal(target.take(anything)?.end, '0/6E')
  const batch = target.take(anything) as Batch
  t.match(batch, { after: '0/6E', end: '0/78' })
  for (const pass of [1, 2]) {
    const parts = await readParts(batch)
    t.equal(parts.length, 4, `pass ${pass}`)
    t.same(
      parts.map(({ header }) => [header.part, header.isLastPart, header.transactions, header.rows]),
      [0, 1, 2, 3].map((part) => [part, part === 3, 1, 300]),
    )
    for (const part of parts) {
      t.same(part.frames[0], relation, 'each part describes what it uses')
      t.ok(part.frames.reduce((sum, frame) => sum + frame.length, 0) < 9_000_000)
    }
    const changes = parts.flatMap(decodePartFrames).filter((message) => message.type !== 'relation')
    t.equal(changes.length, 302)
    t.match([changes[0], changes.at(-1)], [{ type: 'begin' }, { type: 'commit', endLsn: 120n }])
  }
  await batch.release()
  await t.rejects(readParts(batch), { code: 'SPILL_FAILED' }, 'until it is released')
  t.equal(target.take(anything)?.end, '0/82')
})

t.test('what is held counts until it is acknowledged and let go', async (t) => {
  const target = queue()
  t.ok(target.isIdle)
  t.equal(target.heldBytes, 0)
  for (let n = 1n; n <= 3n; n++) target.push(transaction(100n + n * 10n, { rows: 10 }))
  const all = target.heldBytes
  t.equal(target.waitingBytes, all)
  const first = target.take({ maxRows: 10, maxBytes: 1 << 20 }) as Batch
  const second = target.take({ maxRows: 10, maxBytes: 1 << 20 }) as Batch
  t.ok(target.heldBytes > all * 0.9, 'a batch that was taken is still in memory')
  t.ok(target.waitingBytes < all * 0.4)
  await first.release()
  t.ok(target.heldBytes < all * 0.7)
  t.notOk(target.acknowledge(111n), 'no batch ends there')
  t.notOk(target.acknowledge(130n), 'what waits was handed to nobody')
  t.ok(target.acknowledge(120n), 'an acknowledgement covers those before')
  t.equal(target.heldBytes, target.waitingBytes)
  t.notOk(target.isIdle)
  const third = target.take(anything) as Batch
  t.notOk(target.isIdle, 'not before the last one is acknowledged')
  t.ok(target.acknowledge(130n))
  t.ok(target.isIdle)
  t.match(target.advance(500n), { after: '0/82', end: '0/1F4', oldestCommitAt: null })
  t.notOk(target.isIdle)
  await Promise.all([second.release(), third.release()])
})
