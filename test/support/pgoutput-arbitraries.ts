import fc from 'fast-check'
import type { DecodeOptions } from '../../replication/pgoutput/decode.ts'
import { columnKind, type PgoutputMessage, type Tuple } from '../../replication/pgoutput/messages.ts'

export interface MessageCase {
  message: PgoutputMessage
  options: DecodeOptions
}

type StreamableMessage = Extract<
  PgoutputMessage,
  { type: 'relation' | 'type' | 'insert' | 'update' | 'delete' | 'truncate' | 'message' }
>

// Plain objects, as the decoder makes them.
function record<T>(fields: { [Name in keyof T]: fc.Arbitrary<T[Name]> }): fc.Arbitrary<T> {
  return fc.record<T>(fields, { noNullPrototype: true })
}

const id = fc.integer({ min: 1, max: 0xffffffff })
const anyLsn = fc.bigInt(0n, 2n ** 64n - 1n)
const lsn = fc.bigInt(1n, 2n ** 64n - 1n)
const timeUs = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)
// Any Unicode but the zero that ends it; half a surrogate pair is no UTF-8.
const name = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', '\ufeff'))
const value = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))

const column = fc.oneof(
  fc.constant({ kind: columnKind.null, value: null }),
  fc.constant({ kind: columnKind.unchanged, value: null }),
  record({ kind: fc.constantFrom(columnKind.text, columnKind.binary), value }),
)

const tuple: fc.Arbitrary<Tuple> = fc.array(column, { maxLength: 12 }).map((columns) => ({
  kinds: Uint8Array.from(columns, ({ kind }) => kind),
  values: columns.map((each) => each.value),
}))

const commit = { commitLsn: lsn, endLsn: lsn, commitTimeUs: timeUs }

function changes(xid: fc.Arbitrary<number | null>): fc.Arbitrary<StreamableMessage>[] {
  const relationColumn = record({
    name,
    isKey: fc.boolean(),
    typeOid: id,
    typeModifier: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  })
  const oldKind = fc.constantFrom('key' as const, 'full' as const)
  const change = { xid, relationOid: id }
  return [
    record({
      type: fc.constant('relation'),
      xid,
      oid: id,
      schema: name,
      name,
      replicaIdentity: fc.constantFrom('d', 'n', 'f', 'i'),
      columns: fc.array(relationColumn, { maxLength: 8 }),
    }),
    record({ type: fc.constant('type'), xid, oid: id, schema: name, name }),
    record({ type: fc.constant('insert'), ...change, new: tuple }),
    record({ type: fc.constant('update'), ...change, old: tuple, oldKind, new: tuple }),
    record({
      type: fc.constant('update'),
      ...change,
      old: fc.constant(null),
      oldKind: fc.constant(null),
      new: tuple,
    }),
    record({ type: fc.constant('delete'), ...change, old: tuple, oldKind }),
    record({
      type: fc.constant('truncate'),
      xid,
      relationOids: fc.array(id, { maxLength: 5 }),
      cascade: fc.boolean(),
      restartIdentity: fc.boolean(),
    }),
    record({
      type: fc.constant('message'),
      xid,
      isTransactional: fc.boolean(),
      lsn: anyLsn,
      prefix: name,
      content: value,
    }),
  ]
}

const always: fc.Arbitrary<PgoutputMessage>[] = [
  record({ type: fc.constant('begin'), commitLsn: lsn, commitTimeUs: timeUs, xid: id }),
  record({ type: fc.constant('commit'), ...commit }),
  record({ type: fc.constant('origin'), commitLsn: anyLsn, name }),
]

function streaming(protocol: 1 | 2 | 3 | 4): fc.Arbitrary<PgoutputMessage>[] {
  if (protocol < 2) return []
  const abort = { type: fc.constant('streamAbort' as const), xid: id, subXid: id }
  return [
    record({ type: fc.constant('streamStart'), xid: id, isFirst: fc.boolean() }),
    fc.constant({ type: 'streamStop' }),
    record({ type: fc.constant('streamCommit'), xid: id, ...commit }),
    record({ ...abort, abortLsn: fc.constant(null), abortTimeUs: fc.constant(null) }),
    ...(protocol < 4 ? [] : [record({ ...abort, abortLsn: anyLsn, abortTimeUs: timeUs })]),
  ]
}

function twoPhase(protocol: 1 | 2 | 3 | 4): fc.Arbitrary<PgoutputMessage>[] {
  if (protocol < 3) return []
  const kinds = ['beginPrepare', 'prepare', 'commitPrepared', 'rollbackPrepared', 'streamPrepare'] as const
  return [record({ type: fc.constant('twoPhase'), kind: fc.constantFrom(...kinds) })]
}

/** Any message that a session of any protocol may send, in or out of a stream block. */
export const anyMessage: fc.Arbitrary<MessageCase> = fc
  .record({ protocol: fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const), block: fc.boolean() })
  .chain(({ protocol, block }) => {
    const inStream = block && protocol >= 2
    const message = fc.oneof(
      ...changes(inStream ? id : fc.constant(null)),
      ...always,
      ...streaming(protocol),
      ...twoPhase(protocol),
    )
    return message.map((each) => ({ message: each, options: { inStream, protocol } }))
  })

/** What carries a transaction id in a stream block. */
export const streamedChange: fc.Arbitrary<StreamableMessage> = fc.oneof(...changes(id))
