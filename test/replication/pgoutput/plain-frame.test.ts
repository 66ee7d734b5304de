import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { decodeMessage } from '../../../replication/pgoutput/decode.ts'
import type { PgoutputMessage } from '../../../replication/pgoutput/messages.ts'
import {
  encodeBegin,
  encodeCommit,
  encodeRelation,
  encodeType,
  toPlainFrame,
} from '../../../replication/pgoutput/plain-frame.ts'
import { anyMessage, streamedChange } from '../../support/pgoutput-arbitraries.ts'
import { encodeMessage } from '../../support/pgoutput-encoder.ts'

const plain = { inStream: false, protocol: 1 } as const

t.test('a streamed change without its transaction id is the change of an unstreamed session', async () => {
  fc.assert(
    fc.property(streamedChange, (message) => {
      const streamed = encodeMessage(message)
      const before = Buffer.from(streamed)
      const frame = toPlainFrame(streamed)
      assert.deepEqual(streamed, before, 'the message itself stays as it was')
      assert.deepEqual(decodeMessage(frame, plain), { ...message, xid: null })
      assert.deepEqual(frame, encodeMessage({ ...message, xid: null }))
    }),
    { numRuns: 1000 },
  )
})

t.test('what has no transaction id, or is too short for one, becomes no frame', async (t) => {
  const refused = '|B|C.........|S....|E|c....|A....|O....|x....|I|I...'
  for (const bytes of refused.split('|')) {
    t.throws(() => toPlainFrame(Buffer.from(bytes)), { code: 'PGOUTPUT_DAMAGED' }, JSON.stringify(bytes))
  }
})

t.test('begin, commit, relation and type are written as Postgres writes them', async (t) => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(anyMessage, ({ message }) => {
      seen.add(message.type)
      const frame = encodePlain(message)
      if (frame === null) return
      const plain =
        message.type === 'relation' || message.type === 'type' ? { ...message, xid: null } : message
      assert.deepEqual(frame, encodeMessage(plain))
    }),
    { numRuns: 2000 },
  )
  for (const type of ['begin', 'commit', 'relation', 'type']) t.ok(seen.has(type), type)
})

function encodePlain(message: PgoutputMessage): Buffer | null {
  if (message.type === 'begin') return encodeBegin(message)
  if (message.type === 'commit') return encodeCommit(message)
  if (message.type === 'relation') return encodeRelation(message)
  return message.type === 'type' ? encodeType(message) : null
}
