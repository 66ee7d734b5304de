import { writeSync } from 'node:fs'
import { armFailpoints } from '../../../../core/failpoint.ts'
import { createLog } from '../../../../core/log.ts'
import { openSpool } from '../../../../replication/relay/spool/spool.ts'
import { pick, randomNumbers } from '../../../support/random.ts'
import { fingerprint, sampleBatch } from './sample-batch.ts'

// A process that spools and drains until it kills itself at the n-th time it comes by a failpoint. Says on
// stdout, before and after, what it has done:
//   opened NUMBER           the newest batch that was found; 0 for an empty spool
//   acked NUMBER HASH       append returned
//   removing NUMBER         the cloud would have it
//
//   node --import tsx spooling-process.ts FOLDER SEED FAILPOINT NTH START

const [folder = '', seed = '0', failpoint = '', nth = '1', start = '0'] = process.argv.slice(2)
const random = randomNumbers(Number(seed))
const say = (text: string): void => void writeSync(1, `${text}\n`)

let passed = 0
const passBy = async (name: string): Promise<void> => {
  if (name !== failpoint || (passed += 1) < Number(nth)) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => undefined)
}
armFailpoints(passBy)

const log = createLog({ name: 'spooling', level: 'silent' })
const spool = await openSpool({ folder, log })
const numberOf = (lsn: string): number => Number.parseInt(lsn.split('/')[1] ?? '0', 16) / 0x100
let number = spool.endLsn === null ? Number(start) : numberOf(spool.endLsn)
say(`opened ${spool.endLsn === null ? 0 : number}`)
for (;;) {
  number += 1
  const parts = Array.from({ length: 1 + (random() < 0.3 ? pick(random, 4) : 0) }, () =>
    Array.from({ length: pick(random, 5) }, () => Buffer.alloc(pick(random, 30_000), pick(random, 256))),
  )
  const batch = sampleBatch({ number, parts })
  await spool.append(batch)
  await passBy('spool.before-ack')
  say(`acked ${number} ${await fingerprint(batch)}`)
  while (spool.batches > 0 && random() < 0.3) {
    const first = await spool.first()
    say(`removing ${numberOf(first?.end ?? '')}`)
    await spool.removeFirst()
  }
}
