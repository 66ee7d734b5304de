import t from 'tap'
import type { Queryable } from '../../../core/db.ts'
import { createAuthenticator } from '../../../replication/gateway/authenticate.ts'
import { createKeyStore } from '../../../replication/gateway/key-store.ts'
import { hashSecret, makeKey, parseKey, parsePermissions } from '../../../replication/gateway/keys.ts'

interface Row {
  id: string
  client: string
  hash: Buffer
  permissions: string[]
  createdAt: Date
  revokedAt: Date | null
}

/** A table of keys that can be out of reach. */
function fakeTable(): { db: Queryable; rows: Row[]; reads: () => number; down: (is: boolean) => void } {
  const rows: Row[] = []
  let reads = 0
  let isDown = false
  const query = async () => {
    reads += 1
    if (isDown) throw new Error('no database')
    return { rows: rows.map((row) => ({ ...row })) }
  }
  return { db: { query } as unknown as Queryable, rows, reads: () => reads, down: (is) => (isDown = is) }
}

function put(rows: Row[]): { row: Row; text: string } {
  const key = makeKey()
  const permissions = ['relay:read', 'from a later version']
  const row = {
    id: key.id,
    client: 'home',
    hash: hashSecret(key.secret),
    permissions,
    createdAt: new Date(),
    revokedAt: null,
  }
  rows.push(row)
  return { row, text: key.text }
}

void t.test(
  'a revoked key works for ten seconds at most, and for thirty when the database is away',
  async (t) => {
    const table = fakeTable()
    const { row, text } = put(table.rows)
    let nowMs = 1_000_000
    const keys = createKeyStore({ db: table.db, now: () => nowMs })
    const { identify } = createAuthenticator({ keys })
    const isIn = async (): Promise<boolean> => typeof (await identify({ 'x-api-key': [text] })) === 'object'
    t.ok(await isIn())
    row.revokedAt = new Date()
    nowMs += 9_999
    t.ok(await isIn(), 'not looked up yet')
    nowMs += 1
    t.notOk(await isIn())
    row.revokedAt = null
    t.ok(await isIn(), 'a refusal looks again')
    table.down(true)
    nowMs += 29_000
    t.ok(await isIn(), 'the last word counts for a while')
    nowMs += 1_001
    await t.rejects(isIn(), /no database/, 'but not longer')
  },
)

void t.test('a flood of made-up keys costs a few statements', async (t) => {
  const table = fakeTable()
  const { text } = put(table.rows)
  const keys = createKeyStore({ db: table.db, minGapMs: 20 })
  const { identify } = createAuthenticator({ keys })
  const flood = Array.from({ length: 2_000 }, () => identify({ 'x-api-key': [makeKey().text] }))
  t.same([...new Set(await Promise.all(flood))], ['unknown'])
  t.ok(table.reads() <= 3, `${table.reads()} reads`)
  t.match(await identify({ authorization: [`Bearer ${text}`] }), {
    client: 'home',
    permissions: ['relay:read'],
  })
})

void t.test('a key that was made a moment ago works', async (t) => {
  const table = fakeTable()
  const { identify } = createAuthenticator({ keys: createKeyStore({ db: table.db, minGapMs: 20 }) })
  t.equal(await identify({ 'x-api-key': [makeKey().text] }), 'unknown')
  for (let count = 0; count < 5; count++) {
    const { text } = put(table.rows)
    t.match(await identify({ 'x-api-key': [text] }), { with: 'key' })
  }
})

void t.test('the shape of keys', async (t) => {
  const key = makeKey()
  t.match(key.text, /^hp_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/)
  t.match(parseKey(key.text), { id: key.id, secret: key.secret })
  t.equal(Buffer.from(key.secret, 'base64url').length, 32)
  t.not(makeKey().secret, key.secret)
  for (const text of [
    '',
    'hp_',
    `${key.text}\n`,
    ` ${key.text}`,
    key.text.replace('hp_', 'hp-'),
    `${key.text}=`,
  ]) {
    t.equal(parseKey(text), null, JSON.stringify(text))
  }
  t.same(parsePermissions('relay:write, relay:read,relay:read'), ['relay:read', 'relay:write'])
  for (const text of ['', ',', 'relay', 'relay:admin', 'relay:read,x']) {
    t.throws(() => parsePermissions(text), { code: 'USAGE', exitCode: 2 }, text)
  }
})
