import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '../../../core/log.ts'
import { readSpoolFacts } from '../../../replication/promote/spool.ts'
import { spoolFileName } from '../../../replication/relay/spool/spool-folder.ts'
import { openSpool } from '../../../replication/relay/spool/spool.ts'
import { temporaryFolder } from '../../support/api.ts'
import { endOf, sampleBatch } from '../relay/spool/sample-batch.ts'

t.test('what a relay of this machine never brought', async (t) => {
  const folder = join(temporaryFolder(t), 'spool')
  const cloud = { slot: 'homeport_test', after: endOf(1) }
  t.equal(await readSpoolFacts(folder, cloud), null, 'there is none')
  const spool = await openSpool({ folder, log: createLog({ name: 'test', level: 'silent' }) })
  for (let number = 1; number <= 3; number += 1) {
    await spool.append(sampleBatch({ number, oldestCommitAt: `2026-01-0${number}T00:00:00.000Z` }))
  }
  await spool.close()
  t.same(
    await readSpoolFacts(folder, cloud),
    { folder, batches: 2, oldestCommitAt: '2026-01-02T00:00:00.000Z' },
    'what the cloud has by now does not count',
  )
  t.match(await readSpoolFacts(folder, { ...cloud, after: endOf(3) }), { batches: 0, oldestCommitAt: null })
  t.match(await readSpoolFacts(folder, { ...cloud, slot: 'homeport_other' }), { batches: 0 })
  writeFileSync(join(folder, spoolFileName(3)), 'x')
  await t.rejects(readSpoolFacts(folder, cloud), { code: 'SPOOL_DAMAGED' })
})
