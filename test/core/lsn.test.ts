import t from 'tap'
import fc from 'fast-check'
import { formatLsn, lsnBytesBetween, parseLsn } from '../../core/lsn.ts'

t.test('positions of the log', async (t) => {
  t.equal(parseLsn('16/B374D848'), 0x16b374d848n)
  t.equal(parseLsn('0/0'), 0n)
  t.equal(formatLsn(0x16b374d848n), '16/B374D848')
  t.equal(lsnBytesBetween('0/FFFFFFFF', '1/0'), 1)
  t.equal(lsnBytesBetween('1/0', '0/FFFFFFFF'), 0)
  fc.assert(fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (lsn) => parseLsn(formatLsn(lsn)) === lsn))
  for (const text of ['', '1', '/1', '1/', 'x/1', '1/123456789', '-1/1']) {
    t.throws(() => parseLsn(text), { code: 'LSN_INVALID' }, text)
  }
})
