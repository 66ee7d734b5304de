import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readStatus, writeStatus, type RelayStatus } from '../../../replication/relay/status-file.ts'
import { temporaryFolder } from '../../support/api.ts'

const status: RelayStatus = {
  state: 'spooling',
  since: '2026-01-02T03:04:05.000Z',
  startedAt: '2026-01-02T03:00:00.000Z',
  transport: 'direct',
  lag: { seconds: 12.5, bytes: 4096 },
  slot: { name: 'homeport_x', retainedBytes: 1024, usedShare: 0.25, secondsToCut: 11_400 },
  spool: { batches: 3, bytes: 700, firstAfter: '0/1', endLsn: '0/9' },
  isIngestPaused: false,
  rows: 17,
  lastError: { code: 'CLOUD_UNREACHABLE', message: 'no answer', hint: null, at: '2026-01-02T03:04:05.000Z' },
}

t.test('what was written is read, with whose it is', async (t) => {
  const folder = temporaryFolder(t)
  t.equal(await readStatus(folder), null)
  await writeStatus(folder, status)
  const read = await readStatus(folder)
  t.match(read, { ...status, pid: process.pid, host: hostname(), isRunning: true })
  t.ok(Number.isFinite(Date.parse(read?.writtenAt ?? '')))
  t.equal(statSync(join(folder, 'status.json')).mode & 0o777, 0o600)
  await writeStatus(folder, { ...status, state: 'following' })
  t.equal((await readStatus(folder))?.state, 'following')
  t.strictSame(readdirSync(folder), ['status.json'])
})

t.test('a process that ended, or is of another machine, does not run', async (t) => {
  const folder = temporaryFolder(t)
  await writeStatus(folder, status)
  const file = join(folder, 'status.json')
  const stored = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  for (const change of [
    { identity: 'another-boot/1' },
    { identity: null },
    { host: 'elsewhere' },
    { pid: 2 ** 22 + 1 },
  ]) {
    writeFileSync(file, JSON.stringify({ ...stored, ...change }))
    t.match(await readStatus(folder), { state: 'spooling', isRunning: false }, JSON.stringify(change))
  }
})

t.test('a reader never sees half a status', async (t) => {
  const folder = temporaryFolder(t)
  await writeStatus(folder, status)
  let reads = 0
  let done = false
  const writing = (async () => {
    for (let rows = 0; rows < 200; rows += 1) await writeStatus(folder, { ...status, rows })
    done = true
  })()
  let missed = 0
  while (!done) {
    missed += (await readStatus(folder)) === null ? 1 : 0
    reads += 1
  }
  await writing
  t.ok(reads > 0)
  t.equal(missed, 0)
  t.equal((await readStatus(folder))?.rows, 199)
})

t.test('what is no status is none', async (t) => {
  const folder = temporaryFolder(t)
  const texts = [
    '',
    '{',
    'null',
    '[]',
    '{"version":1}',
    JSON.stringify({ ...status, version: 2, pid: 1, host: 'x' }),
  ]
  for (const text of texts) {
    writeFileSync(join(folder, 'status.json'), text)
    t.equal(await readStatus(folder), null, JSON.stringify(text))
  }
  t.equal(await readStatus(join(folder, 'status.json')), null, 'a file in place of the folder')
  t.equal(await readStatus(join(folder, 'absent')), null)
})

t.test('a folder that takes nothing is an error of the writer', async (t) => {
  const folder = temporaryFolder(t)
  await t.rejects(writeStatus(join(folder, 'absent'), status), { code: 'ENOENT' })
  chmodSync(folder, 0o700)
  t.strictSame(readdirSync(folder), [])
})
