import t from 'tap'
import { columnKind, type PgoutputMessage, type Tuple } from '../../../replication/pgoutput/messages.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { TouchedKeys } from '../../../replication/verify/touched-keys.ts'

function tuple(...values: (string | null)[]): Tuple {
  return {
    kinds: Uint8Array.from(values, (value) => (value === null ? columnKind.null : columnKind.text)),
    values: values.map((value) => (value === null ? null : Buffer.from(value))),
  }
}

function relation(oid: number, name: string, columns: readonly string[], schema = 'public'): PgoutputMessage {
  const described = columns.map((column) => ({ name: column, isKey: true, typeOid: 25, typeModifier: -1 }))
  return { type: 'relation', xid: null, oid, schema, name, replicaIdentity: 'd', columns: described }
}

const begin = (commitLsn: bigint): PgoutputMessage => ({ type: 'begin', commitLsn, commitTimeUs: 0n, xid: 1 })
const commit = (commitLsn: bigint): PgoutputMessage => ({
  type: 'commit',
  commitLsn,
  endLsn: commitLsn + 10n,
  commitTimeUs: 0n,
})
const insert = (relationOid: number, row: Tuple): PgoutputMessage => ({
  type: 'insert',
  xid: null,
  relationOid,
  new: row,
})

function listen(messages: readonly PgoutputMessage[], maxKeys?: number): TouchedKeys {
  const touched = new TouchedKeys(publishedTables, maxKeys)
  // Another order than the published one: places are found by name.
  touched.take(relation(1, 'embeddings', ['segment_id', 'visibility', 'model_id']))
  touched.take(relation(2, 'lexicon', ['term', 'documents']))
  for (const message of messages) touched.take(message)
  return touched
}

t.test('inserts, updates with and without an old key, and deletes touch their keys', async (t) => {
  const touched = listen([
    begin(100n),
    insert(1, tuple('7', 'public', '1')),
    { type: 'update', xid: null, relationOid: 2, old: null, oldKind: null, new: tuple('5', '1') },
    {
      type: 'update',
      xid: null,
      relationOid: 2,
      old: tuple('6', null),
      oldKind: 'key',
      new: tuple('8', '1'),
    },
    { type: 'delete', xid: null, relationOid: 2, oldKind: 'key', old: tuple('9', null) },
    commit(100n),
  ])
  t.ok(touched.isTouched('embeddings', ['1', '7'], 200n))
  t.notOk(touched.isTouched('embeddings', ['7', '1'], 200n))
  const found = ['4', '5', '6', '7', '8', '9'].filter((term) => touched.isTouched('lexicon', [term], 200n))
  t.strictSame(found, ['5', '6', '8', '9'])
  t.notOk(touched.isTouched('sources', ['1'], 200n))
})

t.test('the end is a position that was reached outside of a transaction, never silence', async (t) => {
  const touched = listen([begin(100n), insert(2, tuple('1', '1'))])
  touched.advance(500n)
  t.notOk(touched.hasPassed(50n), 'a transaction is open')
  touched.take(commit(100n))
  t.ok(touched.hasPassed(500n))
  t.notOk(touched.hasPassed(501n))
  touched.advance(400n)
  t.ok(touched.hasPassed(500n), 'it never goes back')
})

t.test('a commit at or past the end does not count', async (t) => {
  const touched = listen([begin(100n), insert(2, tuple('1', '1')), commit(100n)])
  t.notOk(touched.isTouched('lexicon', ['1'], 100n))
  t.ok(touched.isTouched('lexicon', ['1'], 101n))
  touched.take(begin(300n))
  touched.take(insert(2, tuple('1', '2')))
  touched.take(commit(300n))
  t.ok(touched.isTouched('lexicon', ['1'], 101n), 'the first one counts')
})

t.test('what cannot be told apart counts as touched', async (t) => {
  const truncated = listen([
    begin(100n),
    { type: 'truncate', xid: null, relationOids: [2], cascade: false, restartIdentity: false },
    commit(100n),
  ])
  t.ok(truncated.isTouched('lexicon', ['123'], 200n))
  t.notOk(truncated.isWholeTouched('lexicon', 100n))
  t.notOk(truncated.isTouched('embeddings', ['1', '1'], 200n))

  const many = listen(
    [begin(100n), ...['1', '2', '3'].map((one) => insert(2, tuple(one, '1'))), commit(100n)],
    2,
  )
  t.ok(many.isTouched('lexicon', ['77'], 200n), 'more keys than are remembered')

  const noKey = listen([begin(100n), insert(2, tuple(null, '1')), commit(100n)])
  t.ok(noKey.isWholeTouched('lexicon', 200n), 'a key that was not sent')
})

t.test('other schemas and tables are nothing to it', async (t) => {
  const touched = listen([relation(3, 'lexicon', ['term'], 'other'), relation(4, 'jobs', ['id'])])
  for (const message of [begin(1n), insert(3, tuple('1')), insert(4, tuple('1')), commit(1n)])
    touched.take(message)
  t.notOk(touched.isTouched('lexicon', ['1'], 9n))
})

t.test(
  'the keys that were touched before a position, and whether the first change found the row there',
  async (t) => {
    const update = (old: Tuple | null, row: Tuple): PgoutputMessage => ({
      type: 'update',
      xid: null,
      relationOid: 2,
      old,
      oldKind: old === null ? null : 'key',
      new: row,
    })
    const remove = (row: Tuple): PgoutputMessage => ({
      type: 'delete',
      xid: null,
      relationOid: 2,
      oldKind: 'key',
      old: row,
    })
    const touched = listen([
      begin(100n),
      insert(2, tuple('1', '1')),
      update(null, tuple('2', '1')),
      update(tuple('3', null), tuple('4', '1')),
      update(tuple('5', null), tuple('5', '1')),
      remove(tuple('6', null)),
      commit(100n),
      begin(200n),
      remove(tuple('1', null)),
      insert(2, tuple('6', '1')),
      insert(2, tuple('7', '1')),
      commit(200n),
    ])
    const existed = (until: bigint): string =>
      touched
        .keysBefore('lexicon', until)
        .map(({ key, existed }) => `${key.join()}${existed ? '+' : '-'}`)
        .sort()
        .join(' ')
    t.equal(existed(200n), '1- 2+ 3+ 4- 5+ 6+')
    t.equal(existed(201n), '1- 2+ 3+ 4- 5+ 6+ 7-')
    t.equal(existed(100n), '')
    t.strictSame(touched.keysBefore('sources', 300n), [])
  },
)
