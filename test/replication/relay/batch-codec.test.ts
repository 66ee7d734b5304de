import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import t from 'tap'
import fc from 'fast-check'
import { HomeportError } from '../../../core/errors.ts'
import { formatLsn } from '../../../core/lsn.ts'
import { decodePart, encodePart } from '../../../replication/relay/batch-codec.ts'
import type { BatchHeader, BatchPart } from '../../../replication/relay/batch.ts'

const lsn = fc.bigInt(0n, 2n ** 64n - 1n).map(formatLsn)
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 63 })
const anyPart: fc.Arbitrary<BatchPart> = fc.record(
  {
    header: fc.record(
      {
        slot: name,
        systemIdentifier: fc.bigInt(1n, 2n ** 64n - 1n).map(String),
        timeline: count,
        after: lsn,
        end: lsn,
        commit: lsn,
        transactions: count,
        rows: count,
        part: count,
        isLastPart: fc.boolean(),
      },
      { noNullPrototype: true },
    ),
    frames: fc.array(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      { maxLength: 8 },
    ),
  },
  { noNullPrototype: true },
)

const header: BatchHeader = {
  slot: 'homeport',
  systemIdentifier: '7412345678901234567',
  timeline: 1,
  after: '16/B374D848',
  end: '16/B374D900',
  commit: '16/B374D8D0',
  transactions: 2,
  rows: 3,
  part: 0,
  isLastPart: true,
}
const frames = [Buffer.from('begin'), Buffer.alloc(0), Buffer.from('commit')]

function isDamaged(bytes: Buffer): boolean {
  try {
    decodePart(bytes)
    return false
  } catch (error) {
    if (error instanceof HomeportError && error.code === 'BATCH_DAMAGED') return true
    throw error
  }
}

t.test('a part comes back as it was', async () => {
  fc.assert(fc.property(anyPart, (part) => assert.deepEqual(decodePart(encodePart(part)), part)))
})

t.test('the format that other versions read', async (t) => {
  const bytes = encodePart({ header, frames: [Buffer.from('ab')] })
  const json = JSON.stringify(header)
  const content = Buffer.concat([
    Buffer.from('HPB1'),
    Buffer.from([0, 0, 0, json.length]),
    Buffer.from(json),
    Buffer.from([0, 0, 0, 2]),
    Buffer.from('ab'),
  ])
  t.strictSame(bytes, sealed(content))
})

t.test('frames are views: a part of many megabytes is not copied', async (t) => {
  const bytes = encodePart({ header, frames: [Buffer.from('before')] })
  const part = decodePart(bytes)
  bytes.write('after!', bytes.length - 32 - 6)
  t.equal(part.frames[0]?.toString(), 'after!')
})

t.test('every changed bit is damage', async (t) => {
  const bytes = encodePart({ header, frames })
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      bytes[at]! ^= 1 << bit
      if (!isDamaged(bytes)) t.fail(`bit ${bit} of byte ${at} does not matter`)
      bytes[at]! ^= 1 << bit
    }
  }
  t.notOk(isDamaged(bytes))
})

t.test('every changed byte of any part is damage', async () => {
  fc.assert(
    fc.property(anyPart, fc.nat(), fc.integer({ min: 1, max: 255 }), (part, at, change) => {
      const bytes = encodePart(part)
      bytes[at % bytes.length]! ^= change
      assert.ok(isDamaged(bytes))
    }),
    { numRuns: 1000 },
  )
})

t.test('every part that ends early or late is damage', async (t) => {
  const bytes = encodePart({ header, frames })
  for (let length = 0; length < bytes.length; length++) {
    if (!isDamaged(bytes.subarray(0, length))) t.fail(`${length} bytes are enough`)
  }
  t.ok(isDamaged(Buffer.concat([bytes, Buffer.of(0)])))
  t.ok(isDamaged(Buffer.concat([bytes, bytes])))
})

t.test('a checksum that fits makes nothing else right', async (t) => {
  const part = (json: string, ...rest: string[]) =>
    sealed(
      Buffer.concat([
        Buffer.from('HPB1'),
        uint32(Buffer.byteLength(json)),
        Buffer.from(json),
        ...rest.map((hex) => Buffer.from(hex, 'hex')),
      ]),
    )
  const whole = JSON.stringify(header)
  t.notOk(isDamaged(part(whole)))
  t.notOk(isDamaged(part(whole, '00000001', 'aa')))
  t.ok(isDamaged(part(whole, '00000002', 'aa')), 'a frame past the end')
  t.ok(isDamaged(part(whole, 'ffffffff', 'aa')), 'a frame of 4 GB')
  t.ok(isDamaged(part(whole, '000000')), 'half a length')
  t.ok(isDamaged(sealed(Buffer.concat([Buffer.from('HPB1'), uint32(0xffffffff)]))), 'a header of 4 GB')
  t.ok(isDamaged(sealed(Buffer.from('HPB1\0\0'))), 'no room for a header')
  t.ok(isDamaged(sealed(Buffer.from('HPB2' + '\0\0\0\x02{}'))), 'another format')
  for (const json of ['', '{', 'null', '[]', '7', '{}']) t.ok(isDamaged(part(json)), json)
  const wrong: Record<string, unknown>[] = [
    { slot: '' },
    { slot: 7 },
    { systemIdentifier: 7 },
    { timeline: '1' },
    { after: '16' },
    { end: null },
    { commit: '16/B374D8D00' },
    { transactions: -1 },
    { rows: 0.5 },
    { rows: 1e300 },
    { part: true },
    { isLastPart: 'false' },
  ]
  for (const fields of wrong) {
    t.ok(isDamaged(part(JSON.stringify({ ...header, ...fields }))), JSON.stringify(fields))
  }
  for (const field of Object.keys(header)) {
    t.ok(isDamaged(part(JSON.stringify({ ...header, [field]: undefined }))), `without ${field}`)
  }
})

function sealed(content: Buffer): Buffer {
  return Buffer.concat([content, createHash('sha256').update(content).digest()])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
