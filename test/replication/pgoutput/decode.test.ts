import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { decodeMessage } from '../../../replication/pgoutput/decode.ts'
import { isRowChange, isStreamable, peekMessage } from '../../../replication/pgoutput/peek.ts'
import { anyMessage } from '../../support/pgoutput-arbitraries.ts'
import { encodeMessage, tupleOf } from '../../support/pgoutput-encoder.ts'

t.test('every message of every protocol comes back, in and out of a stream block', async (t) => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(anyMessage, ({ message, options }) => {
      seen.add(message.type)
      assert.deepEqual(decodeMessage(encodeMessage(message), options), message)
    }),
    { numRuns: 2000 },
  )
  t.equal(seen.size, 15, 'all kinds were tried')
})

t.test('a peek says what the whole message says', async () => {
  fc.assert(
    fc.property(anyMessage, ({ message, options }) => {
      const bytes = encodeMessage(message)
      const isChange = 'relationOid' in message
      assert.deepEqual(peekMessage(bytes, options), {
        tag: bytes[0],
        xid: options.inStream && isStreamable(bytes[0]!) && 'xid' in message ? message.xid : null,
        relationOid: isChange ? message.relationOid : message.type === 'relation' ? message.oid : null,
      })
      assert.equal(isRowChange(bytes[0]!), isChange)
    }),
    { numRuns: 1000 },
  )
})

t.test('bytes as the documentation spells them', async (t) => {
  const plain = { inStream: false, protocol: 1 } as const
  t.strictSame(
    decodeMessage(
      Buffer.from(
        '42' + // B
          '00000016b374d848' + // final position
          '0002af5fa5e4c000' + // microseconds
          '000002f1',
        'hex',
      ),
      plain,
    ),
    { type: 'begin', commitLsn: 0x16b374d848n, commitTimeUs: 0x2af5fa5e4c000n, xid: 753 },
  )
  t.strictSame(
    decodeMessage(
      Buffer.from(
        '55' + // U
          '00004001' +
          '4b' + // K
          '0002' +
          '74' + // text
          '00000001' +
          '37' +
          '6e' + // null
          '4e' + // N
          '0002' +
          '62' + // binary
          '00000000' +
          '75', // unchanged
        'hex',
      ),
      plain,
    ),
    {
      type: 'update',
      xid: null,
      relationOid: 0x4001,
      oldKind: 'key',
      old: tupleOf(['7', null]),
      new: tupleOf([Buffer.alloc(0), undefined]),
    },
  )
})

t.test('values are views: nothing is copied', async (t) => {
  const bytes = encodeMessage({ type: 'insert', xid: null, relationOid: 1, new: tupleOf(['before']) })
  const message = decodeMessage(bytes, { inStream: false, protocol: 1 })
  bytes.write('after!', bytes.length - 6)
  t.equal(message.type === 'insert' && message.new.values[0]?.toString(), 'after!')
})

t.test(
  'an abort carries its position in protocol 4 only, and there only when streamed in parallel',
  async (t) => {
    const short = encodeMessage({ type: 'streamAbort', xid: 7, subXid: 8, abortLsn: null, abortTimeUs: null })
    const long = encodeMessage({ type: 'streamAbort', xid: 7, subXid: 8, abortLsn: 9n, abortTimeUs: 10n })
    for (const protocol of [2, 3, 4] as const) {
      t.match(decodeMessage(short, { inStream: false, protocol }), { xid: 7, subXid: 8, abortLsn: null })
    }
    t.match(decodeMessage(long, { inStream: false, protocol: 4 }), {
      subXid: 8,
      abortLsn: 9n,
      abortTimeUs: 10n,
    })
    for (const protocol of [2, 3] as const) {
      t.throws(() => decodeMessage(long, { inStream: false, protocol }), { code: 'PGOUTPUT_DAMAGED' })
    }
  },
)

t.test('a message of a later protocol is not believed', async (t) => {
  const start = encodeMessage({ type: 'streamStart', xid: 7, isFirst: true })
  const prepare = encodeMessage({ type: 'twoPhase', kind: 'prepare' })
  t.throws(() => decodeMessage(start, { inStream: false, protocol: 1 }), { code: 'PGOUTPUT_DAMAGED' })
  t.throws(() => decodeMessage(prepare, { inStream: false, protocol: 2 }), { code: 'PGOUTPUT_DAMAGED' })
})
