import { existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HomeportError } from '../../../../core/errors.ts'
import { createLog } from '../../../../core/log.ts'
import type { Batch, BatchPart } from '../../../../replication/relay/batch.ts'
import {
  clearSpool,
  sortSpoolNames,
  spoolFileName,
} from '../../../../replication/relay/spool/spool-folder.ts'
import { openSpool, type Spool } from '../../../../replication/relay/spool/spool.ts'
import { temporaryFolder } from '../../../support/api.ts'
import { endOf, fingerprint, sampleBatch } from './sample-batch.ts'

const log = createLog({ name: 'test', level: 'silent' })

async function filled(t: Test, count: number): Promise<{ folder: string; spool: Spool }> {
  const folder = join(temporaryFolder(t), 'spool')
  const spool = await openSpool({ folder, log })
  for (let number = 1; number <= count; number += 1) await spool.append(sampleBatch({ number }))
  return { folder, spool }
}

async function drain(spool: Spool): Promise<string[]> {
  const ends: string[] = []
  for (;;) {
    const batch = await spool.first()
    if (batch === null) return ends
    ends.push(batch.end)
    await spool.removeFirst()
  }
}

t.test('batches come out as they went in, in order, also from a spool that is opened again', async (t) => {
  const folder = join(temporaryFolder(t), 'deep', 'spool')
  const spool = await openSpool({ folder, log })
  t.match(spool, { isEmpty: true, bytes: 0, batches: 0, firstAfter: null, endLsn: null, slot: null })
  t.equal(await spool.first(), null)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  const batches = [
    sampleBatch({ number: 1, oldestCommitAt: '2026-01-02T03:04:05.678Z' }),
    sampleBatch({ number: 2, parts: [[]] }),
    sampleBatch({ number: 3, parts: [[Buffer.alloc(100_000, 'words ')], [Buffer.from([0, 255])], []] }),
  ]
  for (const batch of batches) await spool.append(batch)
  const state = { isEmpty: false, batches: 3, firstAfter: endOf(0), endLsn: endOf(3), slot: 'homeport_test' }
  t.match(spool, state)
  t.equal(
    spool.bytes,
    readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0),
  )
  t.ok(spool.bytes < 10_000, 'compressed')
  t.equal(statSync(join(folder, spoolFileName(1))).mode & 0o777, 0o600)
  await spool.close()

  const again = await openSpool({ folder, log })
  t.match(again, { ...state, bytes: spool.bytes })
  for (const batch of batches) {
    const first = await again.first()
    t.equal(first === null ? '' : await fingerprint(first), await fingerprint(batch))
    t.equal(first === null ? '' : await fingerprint(first), await fingerprint(batch), 'a second pass')
    await first?.release()
    await again.removeFirst()
  }
  t.match(again, { isEmpty: true, bytes: 0, batches: 0, firstAfter: null, endLsn: null })
  t.strictSame(readdirSync(folder), [])
})

t.test('appending goes on behind what is drained meanwhile', async (t) => {
  const { folder, spool } = await filled(t, 2)
  await Promise.all([3, 4, 5].map((number) => spool.append(sampleBatch({ number }))))
  t.equal((await spool.first())?.end, endOf(1))
  await Promise.all([spool.append(sampleBatch({ number: 6 })), spool.removeFirst()])
  t.match(spool, { batches: 5, firstAfter: endOf(1), endLsn: endOf(6) })
  const again = await openSpool({ folder, log })
  t.strictSame(await drain(again), [2, 3, 4, 5, 6].map(endOf))
  await again.append(sampleBatch({ number: 9 }))
  t.equal(again.endLsn, endOf(9), 'an empty spool begins anywhere')
})

t.test('a batch that does not follow the last one is refused, and nothing of it stays', async (t) => {
  const { folder, spool } = await filled(t, 2)
  const refused = { code: 'RELAY_GAP', hint: /ops reseed/ }
  await t.rejects(spool.append(sampleBatch({ number: 4 })), refused, 'one is missing')
  await t.rejects(spool.append(sampleBatch({ number: 2 })), refused, 'one again')
  await t.rejects(spool.append(sampleBatch({ number: 3, slot: 'homeport_other' })), refused, 'another slot')
  t.strictSame(readdirSync(folder).sort(), [1, 2].map(spoolFileName))
  await spool.append(sampleBatch({ number: 3 }))
  t.equal(spool.endLsn, endOf(3))
})

t.test('a batch that is not whole is refused, and nothing of it stays', async (t) => {
  const { folder, spool } = await filled(t, 1)
  const good = sampleBatch({ number: 2, parts: [[], [], []] })
  const broken = (change: (parts: BatchPart[]) => BatchPart[]): Batch => ({
    ...good,
    async *parts() {
      const parts: BatchPart[] = []
      for await (const part of good.parts()) parts.push(part)
      yield* change(parts)
    },
  })
  const headed = (part: BatchPart | undefined, header: Partial<BatchPart['header']>): BatchPart[] =>
    part === undefined ? [] : [{ ...part, header: { ...part.header, ...header } }]
  const cases: Record<string, (parts: BatchPart[]) => BatchPart[]> = {
    'no part': () => [],
    'the last is missing': (parts) => parts.slice(0, 2),
    'one in the middle is missing': (parts) => parts.toSpliced(1, 1),
    'in another order': ([a, b, c]) => [...headed(b, {}), ...headed(a, {}), ...headed(c, {})],
    'one after the last': (parts) => [...parts, ...headed(parts[2], { part: 3 })],
    'of another batch': ([a, b, c]) => [...headed(a, {}), ...headed(b, { end: endOf(7) }), ...headed(c, {})],
    'of another slot': ([a, b, c]) => [...headed(a, {}), ...headed(b, { slot: 'other' }), ...headed(c, {})],
  }
  for (const [name, change] of Object.entries(cases)) {
    await t.rejects(spool.append(broken(change)), { code: 'BATCH_DAMAGED' }, name)
  }
  const failing = broken(() => {
    throw new HomeportError('SPILL_DAMAGED', 'what was set aside cannot be read')
  })
  await t.rejects(spool.append(failing), { code: 'SPILL_DAMAGED' }, 'its own error stays')
  t.strictSame(readdirSync(folder), [spoolFileName(1)])
  await spool.append(good)
  t.match(spool, { batches: 2, endLsn: endOf(2) })
})

t.test('a gap is named when the spool is opened', async (t) => {
  const { folder } = await filled(t, 4)
  rmSync(join(folder, spoolFileName(2)))
  const damaged = { code: 'SPOOL_DAMAGED', message: /000000000002\.spool is gone/, hint: /^ops reseed/ }
  await t.rejects(openSpool({ folder, log }), damaged)
  renameSync(join(folder, spoolFileName(3)), join(folder, spoolFileName(2)))
  const renamed = { code: 'SPOOL_DAMAGED', message: /000000000002\.spool was 000000000003\.spool/ }
  await t.rejects(openSpool({ folder, log }), renamed)
  t.equal(await clearSpool(folder), 3, 'a damaged spool can be emptied')
  t.ok((await openSpool({ folder, log })).isEmpty)
  t.equal(await clearSpool(join(folder, 'absent')), 0)
})

t.test('files of two chains are not taken for one', async (t) => {
  const [own, other] = [await filled(t, 2), await filled(t, 0)]
  for (const number of [5, 6, 7]) await other.spool.append(sampleBatch({ number }))
  renameSync(join(other.folder, spoolFileName(3)), join(own.folder, spoolFileName(3)))
  const message = /begins at 1\/600 of homeport_test, not where the one before ends \(1\/200\)/
  await t.rejects(openSpool({ folder: own.folder, log }), { code: 'SPOOL_DAMAGED', message })

  const third = await filled(t, 0)
  for (const number of [1, 2, 3]) await third.spool.append(sampleBatch({ number, slot: 'homeport_other' }))
  renameSync(join(third.folder, spoolFileName(3)), join(own.folder, spoolFileName(3)))
  const foreign = { code: 'SPOOL_DAMAGED', message: /of homeport_other/ }
  await t.rejects(openSpool({ folder: own.folder, log }), foreign, 'it fits, but is of another slot')
})

t.test('what a crash cut off is removed, what nobody here wrote is left alone', async (t) => {
  const { folder } = await filled(t, 1)
  writeFileSync(join(folder, `${spoolFileName(2)}.writing`), 'half')
  writeFileSync(join(folder, 'notes.txt'), 'mine')
  const spool = await openSpool({ folder, log })
  t.equal(spool.batches, 1)
  t.strictSame(readdirSync(folder).sort(), [spoolFileName(1), 'notes.txt'])
  await spool.clear()
  t.strictSame(readdirSync(folder), ['notes.txt'])
  t.match(spool, { isEmpty: true, bytes: 0 })
  await spool.append(sampleBatch({ number: 5 }))
  t.equal((await openSpool({ folder, log })).endLsn, endOf(5))
})

t.test('names', async (t) => {
  t.strictSame(
    sortSpoolNames([
      '000000000010.spool',
      '000000000009.spool',
      '000000000011.spool.writing',
      '9.spool',
      'x',
    ]),
    { sequences: [9, 10], halves: ['000000000011.spool.writing'], strangers: ['9.spool', 'x'] },
  )
})

t.test('a limit is never passed, and a spool that is full takes more once it is drained', async (t) => {
  const folder = join(temporaryFolder(t), 'spool')
  const spool = await openSpool({ folder, log, maxBytes: 4_000 })
  let number = 1
  const full = async (): Promise<HomeportError> => {
    for (; number < 100; number += 1) {
      try {
        await spool.append(sampleBatch({ number }))
      } catch (error) {
        if (error instanceof HomeportError) return error
        throw error
      }
    }
    throw new Error('it never was full')
  }
  t.match(await full(), { code: 'SPOOL_FULL', message: /may hold 3\.9 kB/ })
  t.ok(spool.batches > 1 && spool.bytes <= 4_000)
  t.equal(readdirSync(folder).length, spool.batches, 'no half is left')
  t.match(await spool.space(), { bytes: spool.bytes, leftBytes: 4_000 - spool.bytes })
  const before = spool.batches
  await spool.removeFirst()
  await spool.append(sampleBatch({ number }))
  t.equal(spool.batches, before)
  // Counted while it is written: the parts of a large one do not fill the disk first.
  await spool.clear()
  const large = sampleBatch({ number: 1, parts: Array.from({ length: 50 }, () => [randomBytes(1_000)]) })
  await t.rejects(spool.append(large), { code: 'SPOOL_FULL' })
  t.strictSame(readdirSync(folder), [])
})

t.test('what is to stay free on the disk stays free', async (t) => {
  const folder = join(temporaryFolder(t), 'spool')
  const spool = await openSpool({ folder, log, keepFreeBytes: 2 ** 60 })
  const refused = { code: 'SPOOL_FULL', message: /leaves .* of its disk free/ }
  await t.rejects(spool.append(sampleBatch({ number: 1 })), refused)
  t.equal((await spool.space()).leftBytes, 0)
  t.strictSame(readdirSync(folder), [])
})

t.test('a folder that cannot be made is named', async (t) => {
  const file = join(temporaryFolder(t), 'file')
  writeFileSync(file, '')
  await t.rejects(openSpool({ folder: join(file, 'spool'), log }), {
    code: 'SPOOL_WRITE',
    message: /ENOTDIR/,
    hint: /RELAY_STATE_PATH/,
  })
  t.ok(existsSync(file))
})

function randomBytes(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, () => Math.floor(Math.random() * 256)))
}
