import t from 'tap'
import fc from 'fast-check'
import { HomeportError } from '../../../core/errors.ts'
import { decodeMessage, type DecodeOptions } from '../../../replication/pgoutput/decode.ts'
import { peekMessage } from '../../../replication/pgoutput/peek.ts'
import { anyMessage } from '../../support/pgoutput-arbitraries.ts'
import { encodeMessage, tupleOf } from '../../support/pgoutput-encoder.ts'

const everyOption: DecodeOptions[] = ([1, 2, 3, 4] as const).flatMap((protocol) => [
  { protocol, inStream: false },
  { protocol, inStream: true },
])

/** True when it decodes, false when it is damage; anything else thrown fails the test. */
function decodes(bytes: Buffer, options: DecodeOptions): boolean {
  try {
    peekMessage(bytes, options)
    decodeMessage(bytes, options)
    return true
  } catch (error) {
    if (error instanceof HomeportError && error.code === 'PGOUTPUT_DAMAGED') return false
    throw error
  }
}

t.test('a message that ends early is damage, at every byte', async (t) => {
  fc.assert(
    fc.property(anyMessage, ({ message, options }) => {
      const bytes = encodeMessage(message)
      // In protocol 4 an abort is whole with and without its position.
      const isWhole = (length: number) =>
        message.type === 'streamAbort' && options.protocol === 4 && length === 9
      for (let length = 0; length < bytes.length; length++) {
        if (decodes(bytes.subarray(0, length), options) && !isWhole(length)) {
          t.fail(`${message.type} decodes from ${length} of ${bytes.length} bytes`)
        }
      }
    }),
    { numRuns: 500 },
  )
})

t.test('bytes behind the end are damage', async (t) => {
  fc.assert(
    fc.property(anyMessage, fc.uint8Array({ minLength: 1, maxLength: 20 }), ({ message, options }, more) => {
      fc.pre(!(message.type === 'streamAbort' && options.protocol === 4 && more.length === 16))
      t.notOk(decodes(Buffer.concat([encodeMessage(message), more]), options), message.type)
    }),
    { numRuns: 1000 },
  )
})

t.test('changed bytes are a message or damage, never another error', async () => {
  const changes = fc.array(
    fc.record({ at: fc.nat({ max: 400 }), byte: fc.oneof(fc.constantFrom(0, 127, 128, 255), fc.nat(255)) }),
    { minLength: 1, maxLength: 4 },
  )
  fc.assert(
    fc.property(anyMessage, changes, ({ message }, list) => {
      const bytes = encodeMessage(message)
      for (const { at, byte } of list) bytes[at % bytes.length] = byte
      for (const options of everyOption) decodes(bytes, options)
    }),
    { numRuns: 5000 },
  )
})

t.test('noise is a message or damage, never another error', async () => {
  const tag = fc.constantFrom(...Buffer.from('BCORYIUDTMSEcAbPKrp'), 0, 0xff)
  fc.assert(
    fc.property(tag, fc.uint8Array({ maxLength: 60 }), (first, rest) => {
      const bytes = Buffer.concat([Buffer.of(first), rest])
      for (const options of everyOption) decodes(bytes, options)
    }),
    { numRuns: 5000 },
  )
})

t.test('every tag that Postgres does not have is unknown', async (t) => {
  const known = new Set(Buffer.from('BCORYIUDTMSEcAbPKrp'))
  for (let tag = 0; tag < 256; tag++) {
    if (known.has(tag)) continue
    t.throws(
      () => decodeMessage(Buffer.of(tag, 0, 0, 0, 1), { inStream: false, protocol: 4 }),
      { code: 'PGOUTPUT_DAMAGED', message: /byte 0: the tag is unknown/ },
      String(tag),
    )
  }
})

t.test('absurd lengths and counts are damage before anyone allocates for them', async (t) => {
  const options = { inStream: false, protocol: 4 } as const
  const cases: [what: string, hex: string, at: number][] = [
    ['a column of 2 GB', '4900000001' + '4e' + '0001' + '62' + '7fffffff' + '00', 9],
    ['a column of -1 bytes', '4900000001' + '4e' + '0001' + '74' + 'ffffffff' + '00', 9],
    ['32767 columns', '4900000001' + '4e' + '7fff' + '6e', 6],
    ['-1 columns', '4900000001' + '4e' + 'ffff' + '6e', 6],
    ['a column of no kind', '4900000001' + '4e' + '0001' + '78', 8],
    ['2 billion relations', '54' + '7fffffff' + '00' + '00000001', 1],
    ['-1 relations', '54' + 'ffffffff' + '00' + '00000001', 1],
    ['an unknown way to truncate', '54' + '00000001' + '04' + '00000001', 5],
    ['a logical message of 2 GB', '4d' + '01' + '0000000000000001' + '7000' + '7fffffff' + '00', 12],
    ['a logical message of -1 bytes', '4d' + '01' + '0000000000000001' + '7000' + 'ffffffff', 12],
    ['a relation of 32767 columns', '52' + '00000001' + '00' + '00' + '64' + '7fff' + '00', 8],
    ['a relation of -1 columns', '52' + '00000001' + '00' + '00' + '64' + 'ffff', 8],
    ['a relation of unknown identity', '52' + '00000001' + '00' + '00' + '78' + '0000', 7],
    ['a name without an end', '59' + '00000001' + '7075626c6963', 5],
    ['a name that is no UTF-8', '59' + '00000001' + 'ff00' + '00', 5],
    ['a commit at 0/0', '43' + '00' + '0000000000000000' + '0000000000000001' + '0000000000000000', 2],
    ['a change of relation 0', '4900000000' + '4e' + '0000', 1],
    ['an insert without its mark', '4900000001' + '4f' + '0000', 5],
    ['a delete with the mark of a new row', '4400000001' + '4e' + '0000', 5],
  ]
  for (const [what, hex, at] of cases) {
    t.throws(
      () => decodeMessage(Buffer.from(hex, 'hex'), options),
      { code: 'PGOUTPUT_DAMAGED', message: new RegExp(` damaged at byte ${at}: `) },
      what,
    )
  }
})

t.test('a large message with one wrong length is refused at once', async (t) => {
  const columns = Array.from({ length: 1600 }, () => 'x'.repeat(1000))
  const bytes = encodeMessage({ type: 'insert', xid: null, relationOid: 1, new: tupleOf(columns) })
  bytes.writeInt32BE(bytes.length, bytes.length - 1004)
  t.throws(() => decodeMessage(bytes, { inStream: false, protocol: 1 }), {
    code: 'PGOUTPUT_DAMAGED',
    message: /column 1600 claims/,
  })
})

t.test('an error holds no value of a row', async (t) => {
  const bytes = encodeMessage({
    type: 'insert',
    xid: null,
    relationOid: 1,
    new: tupleOf(['a private word', Buffer.from('another')]),
  })
  for (let length = 0; length < bytes.length; length++) {
    try {
      decodeMessage(bytes.subarray(0, length), { inStream: false, protocol: 1 })
    } catch (error) {
      t.notMatch(String(error), /private|another/)
    }
  }
})
