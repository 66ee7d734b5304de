import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readMemory, writeMemory, type StoredMemory } from '../../../replication/relay/memory-file.ts'
import { temporaryFolder } from '../../support/api.ts'

const memory: StoredMemory = {
  slot: 'homeport_a',
  systemIdentifier: '7001',
  timeline: 1,
  cloudLsn: '0/1000',
  commitLsn: '0/F00',
  sequence: '12',
}

t.test('what is remembered is read again, whole, and nothing else is left', async (t) => {
  const folder = temporaryFolder(t)
  t.equal(await readMemory(folder), null)
  await writeMemory(folder, memory)
  await writeMemory(folder, { ...memory, cloudLsn: '0/2000' })
  t.match(await readMemory(folder), { ...memory, cloudLsn: '0/2000' })
  t.strictSame(readdirSync(folder), ['memory.json'])
})

t.test('what a crash cut off, or another version wrote, is no memory', async (t) => {
  const folder = temporaryFolder(t)
  for (const text of ['', '{"version":2,"sl', '{"version":9}', 'null', '[]']) {
    writeFileSync(join(folder, 'memory.json'), text)
    t.equal(await readMemory(folder), null, text)
  }
})
