import t from 'tap'
import { decodeCopyData, encodeStatusUpdate } from '../../../../replication/relay/stream/copy-data.ts'

t.test('a status update says one position three times, exactly', async (t) => {
  const bytes = encodeStatusUpdate({
    durableLsn: 0x16_b374d848n,
    nowMs: Date.UTC(2000, 0, 1, 0, 0, 1),
    isReplyRequested: true,
  })
  const lsn = '00000016b374d848'
  t.equal(bytes.toString('hex'), `72${lsn}${lsn}${lsn}00000000000f424001`)
  const plain = encodeStatusUpdate({ durableLsn: 1n, nowMs: Date.UTC(2026, 0, 1), isReplyRequested: false })
  t.equal(plain[33], 0)
  // 26 years of microseconds, seven of them leap years
  t.equal(plain.readBigInt64BE(25), BigInt(26 * 365 + 7) * 86_400_000_000n)
})

t.test('log and keepalives are told apart', async (t) => {
  const log = Buffer.alloc(26)
  log[0] = 0x77
  log.writeBigUInt64BE(0x1_00000002n, 1)
  log[25] = 0x42
  t.match(decodeCopyData(log), { kind: 'wal', lsn: 0x1_00000002n, payload: Buffer.of(0x42) })
  const keepalive = Buffer.alloc(18)
  keepalive[0] = 0x6b
  keepalive.writeBigUInt64BE(7n, 1)
  t.same(decodeCopyData(keepalive), { kind: 'keepalive', lsn: 7n, isReplyRequested: false })
  keepalive[17] = 1
  t.match(decodeCopyData(keepalive), { isReplyRequested: true })
  for (const damaged of [Buffer.alloc(0), Buffer.of(0x78), log.subarray(0, 25), keepalive.subarray(0, 17)]) {
    t.throws(() => decodeCopyData(damaged), { code: 'PGOUTPUT_DAMAGED' })
  }
})
