import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type pg from 'pg'
import type { Queryable } from '../../../core/db.ts'
import { readPrimaryDisk } from '../../../replication/relay/primary-disk.ts'
import { temporaryFolder } from '../../support/api.ts'

const identifier = 7_312_345_678_901_234_567n

/** A server that says who it is. */
const server = (systemIdentifier: bigint): Queryable => ({
  query: <Row extends pg.QueryResultRow>() =>
    Promise.resolve({
      rows: [{ systemIdentifier: String(systemIdentifier) }],
    } as unknown as pg.QueryResult<Row>),
})

t.test('a disk is the primary’s only when all speaks for it', async (t) => {
  const dataDirectory = temporaryFolder(t)
  const ask = (change: { dataDirectory?: string | null; serverAddress?: string | null; is?: bigint }) =>
    readPrimaryDisk({
      primary: server(change.is ?? identifier),
      dataDirectory: change.dataDirectory === undefined ? dataDirectory : change.dataDirectory,
      serverAddress: change.serverAddress === undefined ? '127.0.0.1' : change.serverAddress,
    })
  t.equal(await ask({}), null, 'a folder without a server in it')
  mkdirSync(join(dataDirectory, 'global'))
  const control = Buffer.alloc(64)
  control.writeBigUInt64LE(identifier)
  writeFileSync(join(dataDirectory, 'global', 'pg_control'), control)
  t.ok(((await ask({}))?.freeBytes ?? 0) > 0)
  t.ok(await ask({ serverAddress: null }), 'over a socket')
  t.equal(await ask({ is: identifier + 1n }), null, 'another server has that path')
  t.equal(await ask({ serverAddress: '203.0.113.7' }), null, 'it runs elsewhere, in a container perhaps')
  t.equal(await ask({ dataDirectory: null }), null, 'the role may not know')
  t.equal(await ask({ dataDirectory: join(dataDirectory, 'absent') }), null)
})
