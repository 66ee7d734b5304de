import { randomBytes } from 'node:crypto'
import { createLog } from '../../../../core/log.ts'
import { openSpool } from '../../../../replication/relay/spool/spool.ts'
import type { Batch } from '../../../../replication/relay/batch.ts'
import { sampleBatch } from './sample-batch.ts'

// Puts one transaction in many parts through a spool and prints how much memory that took.
//   node --import tsx large-batch-process.ts FOLDER PARTS MEGABYTES-A-PART
const [folder = '', parts = '1', megabytes = '16'] = process.argv.slice(2)

// Half of it shrinks, as words and vectors do.
const frame = Buffer.concat([randomBytes(512 * 1024), Buffer.alloc(512 * 1024, 'words ')])
const template = sampleBatch({ number: 1, parts: [[]] })
const large: Batch = {
  ...template,
  async *parts() {
    for (let part = 0; part < Number(parts); part += 1) {
      for await (const { header } of template.parts()) {
        const isLastPart = part === Number(parts) - 1
        const frames = Array.from({ length: Number(megabytes) }, () => Buffer.from(frame))
        yield { header: { ...header, part, isLastPart }, frames }
      }
    }
  },
}

const rssMb = (): number => process.memoryUsage.rss() / 1024 ** 2
const spool = await openSpool({
  folder,
  log: createLog({ name: 'large', level: 'silent' }),
  keepFreeBytes: 0,
})
const before = rssMb()
let peak = before
const watch = setInterval(() => (peak = Math.max(peak, rssMb())), 20)
await spool.append(large)
let readBytes = 0
for await (const part of (await spool.first())?.parts() ?? []) {
  for (const one of part.frames) readBytes += one.length
  peak = Math.max(peak, rssMb())
}
clearInterval(watch)
process.stdout.write(
  JSON.stringify({ spoolBytes: spool.bytes, readBytes, peakGrowthMb: Math.round(peak - before) }),
)
