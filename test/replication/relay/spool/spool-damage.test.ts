import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { HomeportError } from '../../../../core/errors.ts'
import { createLog } from '../../../../core/log.ts'
import { sha256 } from '../../../../replication/relay/spool/spool-file.ts'
import { spoolFileName } from '../../../../replication/relay/spool/spool-folder.ts'
import { openSpool } from '../../../../replication/relay/spool/spool.ts'
import { temporaryFolder } from '../../../support/api.ts'
import { sampleBatch } from './sample-batch.ts'

const log = createLog({ name: 'test', level: 'silent' })

const damaged = (file: string) => ({
  code: 'SPOOL_DAMAGED',
  message: new RegExp(`spool file ${file.replaceAll('.', '\\.')} `),
  hint: /^ops reseed/,
})

t.test('every single byte of a file counts', async (t) => {
  const folder = temporaryFolder(t)
  const spool = await openSpool({ folder, log })
  await spool.append(sampleBatch({ number: 1, parts: [[Buffer.from('one')], [Buffer.from('two')]] }))
  await spool.append(sampleBatch({ number: 2 }))
  const file = join(folder, spoolFileName(1))
  const good = readFileSync(file)
  t.ok(good.length > 500)
  let missed = 0
  for (let at = 0; at < good.length; at += 1) {
    const bad = Buffer.from(good)
    bad[at] = (bad[at] ?? 0) ^ (1 << (at % 8))
    writeFileSync(file, bad)
    missed += (await isFound(() => openSpool({ folder, log }))) ? 0 : 1
    // An open spool looks again when the batch is read.
    missed += (await isFound(() => spool.first())) ? 0 : 1
  }
  t.equal(missed, 0, `of ${good.length} flipped bytes, twice each`)
  for (let length = 0; length < good.length; length += 1) {
    writeFileSync(file, good)
    truncateSync(file, length)
    missed += (await isFound(() => openSpool({ folder, log }))) ? 0 : 1
  }
  t.equal(missed, 0, 'of all lengths it can be cut to')
  writeFileSync(file, Buffer.concat([good, Buffer.from('x')]))
  await t.rejects(openSpool({ folder, log }), damaged(file), 'a byte too many')
  writeFileSync(file, good)
  t.equal((await openSpool({ folder, log })).batches, 2, 'whole again')

  async function isFound(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work()
      return false
    } catch (error) {
      const { code, message } = error as HomeportError
      return code === 'SPOOL_DAMAGED' && message.includes(file)
    }
  }
})

t.test('a file that changes or goes after it was verified gives no part that was not written', async (t) => {
  const folder = temporaryFolder(t)
  const spool = await openSpool({ folder, log })
  const parts = Array.from({ length: 3 }, (_, place) => [Buffer.from(`part ${place} `.repeat(50))])
  await spool.append(sampleBatch({ number: 1, parts }))
  const file = join(folder, spoolFileName(1))
  const good = readFileSync(file)
  const batch = await spool.first()
  const read = async (): Promise<number> => {
    let frames = 0
    for await (const part of batch?.parts() ?? []) frames += part.frames.length
    return frames
  }
  t.equal(await read(), 3)
  const bad = Buffer.from(good)
  // Past the prelude, into what was compressed.
  bad[64 + 30] = (bad[64 + 30] ?? 0) ^ 1
  writeFileSync(file, bad)
  await t.rejects(read(), damaged(file))
  // Another file of the same name, whole in itself.
  const elsewhere = temporaryFolder(t)
  await (await openSpool({ folder: elsewhere, log })).append(sampleBatch({ number: 1 }))
  writeFileSync(file, readFileSync(join(elsewhere, spoolFileName(1))))
  await t.rejects(read(), damaged(file))
  await t.rejects(spool.first(), damaged(file))
  rmSync(file)
  await t.rejects(read(), damaged(file))
  await t.rejects(spool.first(), { ...damaged(file), message: /is gone/ })
})

t.test('a version that this program does not know is refused, not guessed at', async (t) => {
  const folder = temporaryFolder(t)
  const spool = await openSpool({ folder, log })
  await spool.append(sampleBatch({ number: 1 }))
  const file = join(folder, spoolFileName(1))
  const bytes = readFileSync(file)
  bytes.writeUInt32BE(2, 8)
  sha256(bytes.subarray(0, 56)).copy(bytes, 56, 0, 8)
  writeFileSync(file, bytes)
  await t.rejects(openSpool({ folder, log }), { code: 'SPOOL_UNREADABLE', message: /version 2/ })
})
