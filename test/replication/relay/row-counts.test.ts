import t from 'tap'
import type { PgoutputMessage } from '../../../replication/pgoutput/messages.ts'
import { countRows } from '../../../replication/relay/row-counts.ts'
import { encodeMessage, tupleOf } from '../../support/pgoutput-encoder.ts'
import { sampleBatch } from './spool/sample-batch.ts'

const relation = (oid: number, name: string): PgoutputMessage => ({
  type: 'relation',
  xid: null,
  oid,
  schema: 'public',
  name,
  replicaIdentity: 'd',
  columns: [{ name: 'id', isKey: true, typeOid: 20, typeModifier: -1 }],
})
const tuple = tupleOf(['1'])
const insert = (relationOid: number): PgoutputMessage => ({
  type: 'insert',
  xid: null,
  relationOid,
  new: tuple,
})
const update = (relationOid: number): PgoutputMessage => ({
  type: 'update',
  xid: null,
  relationOid,
  old: null,
  oldKind: null,
  new: tuple,
})
const remove = (relationOid: number): PgoutputMessage => ({
  type: 'delete',
  xid: null,
  relationOid,
  old: tuple,
  oldKind: 'key',
})
const truncate = (relationOids: number[]): PgoutputMessage => ({
  type: 'truncate',
  xid: null,
  relationOids,
  cascade: false,
  restartIdentity: false,
})

t.test('rows are counted by table and operation while somebody else reads them', async (t) => {
  const parts = [
    [relation(1, 'segments'), relation(2, 'embeddings'), insert(1), insert(1), insert(2), update(1)],
    [relation(2, 'embeddings'), insert(2), remove(2), truncate([2])],
  ].map((messages) => messages.map(encodeMessage))
  const batch = countRows(sampleBatch({ number: 1, parts, oldestCommitAt: '2026-01-02T03:04:05.000Z' }))
  t.match(batch, { after: '1/0', end: '1/100', oldestCommitAt: '2026-01-02T03:04:05.000Z' })
  t.strictSame(batch.rowCounts(), [])
  const expected = [
    { table: 'segments', operation: 'insert', count: 2 },
    { table: 'embeddings', operation: 'insert', count: 2 },
    { table: 'segments', operation: 'update', count: 1 },
    { table: 'embeddings', operation: 'delete', count: 1 },
    { table: 'embeddings', operation: 'truncate', count: 1 },
  ]
  for (const pass of ['first', 'second']) {
    const frames: number[] = []
    for await (const part of batch.parts()) frames.push(part.frames.length)
    t.strictSame(frames, [6, 4], 'nothing is kept back')
    t.strictSame(batch.rowCounts(), expected, `the ${pass} pass counts once`)
  }
})

t.test('a damaged frame is an error, as it is for who applies it', async (t) => {
  const batch = countRows(sampleBatch({ number: 1, parts: [[Buffer.from('I')]] }))
  await t.rejects(
    async () => {
      for await (const part of batch.parts()) t.fail(`${part.frames.length} frames`)
    },
    { code: 'PGOUTPUT_DAMAGED' },
  )
})
