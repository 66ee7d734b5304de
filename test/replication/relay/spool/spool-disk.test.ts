import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createLog } from '../../../../core/log.ts'
import { openSpool } from '../../../../replication/relay/spool/spool.ts'
import { temporaryFolder } from '../../../support/api.ts'
import { endOf, fingerprint, sampleBatch } from './sample-batch.ts'

const log = createLog({ name: 'test', level: 'silent' })
const program = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

const mayMount =
  spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
    ? {}
    : { skip: 'this user may not mount a small disk' }
const mayTrace =
  spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0
    ? {}
    : { skip: 'strace is not there, or may not trace' }

/** A disk of its own, of this size. */
function smallDisk(t: Test, size: string): string {
  const folder = join(temporaryFolder(t), 'disk')
  mkdirSync(folder)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder])
  t.teardown(() => execFileSync('umount', [folder]))
  return folder
}

t.test(
  'a full disk takes nothing half: what was acknowledged stays, the rest goes on later',
  mayMount,
  async (t) => {
    const disk = smallDisk(t, '1m')
    const folder = join(disk, 'spool')
    const spool = await openSpool({ folder, log, keepFreeBytes: 0 })
    const other = join(disk, 'videos')
    const large = (number: number) =>
      sampleBatch({ number, parts: [[randomBytes(60_000)], [randomBytes(60_000)]] })
    const kept = [large(1), large(2)]
    for (const batch of kept) await spool.append(batch)
    let free = 0
    try {
      for (;;) {
        writeFileSync(other, Buffer.alloc(4096), { flag: 'a' })
        free += 1
      }
    } catch (error) {
      t.match(error, { code: 'ENOSPC' })
    }
    t.ok(free > 0)
    await t.rejects(spool.append(large(3)), { code: /^SPOOL_(?:FULL|DISK_FULL)$/ })
    t.match(spool, { batches: 2, endLsn: endOf(2) })
    t.equal(readdirSync(folder).length, 2, 'the half is gone')
    const again = await openSpool({ folder, log, keepFreeBytes: 0 })
    t.equal((await again.first())?.end, endOf(1))
    rmSync(other)
    await spool.append(large(3))
    const reopened = await openSpool({ folder, log })
    t.match(reopened, { batches: 3, endLsn: endOf(3) })
    const first = await reopened.first()
    t.equal(first === null ? '' : await fingerprint(first), await fingerprint(kept[0] ?? large(1)))
  },
)

t.test('the disk fills between the look at it and the write', mayMount, async (t) => {
  const disk = smallDisk(t, '1m')
  const folder = join(disk, 'spool')
  const spool = await openSpool({ folder, log, keepFreeBytes: 0 })
  await spool.append(sampleBatch({ number: 1 }))
  // A negative reserve looks away, as a disk does that somebody else fills a moment later.
  const blind = await openSpool({ folder, log, keepFreeBytes: -(2 ** 40) })
  const parts = Array.from({ length: 6 }, () => [randomBytes(300_000)])
  await t.rejects(blind.append(sampleBatch({ number: 2, parts })), {
    code: 'SPOOL_DISK_FULL',
    message: new RegExp(folder),
    hint: /RELAY_STATE_PATH/,
  })
  t.equal(readdirSync(folder).length, 1, 'the half is gone')
  await blind.append(sampleBatch({ number: 2, parts: parts.slice(0, 1) }))
  t.equal((await openSpool({ folder, log })).endLsn, endOf(2))
})

t.test('a transaction of any size goes through in bounded memory', async (t) => {
  const folder = temporaryFolder(t)
  const ran = spawnSync(
    process.execPath,
    ['--import', 'tsx', program('large-batch-process.ts'), folder, '8', '16'],
    {
      env: { PATH: process.env['PATH'] },
      encoding: 'utf8',
    },
  )
  t.equal(ran.status, 0, ran.stderr)
  const { spoolBytes, readBytes, peakGrowthMb } = JSON.parse(ran.stdout) as Record<string, number>
  const total = 8 * 16 * 1024 * 1024
  t.equal(readBytes, total)
  t.ok((spoolBytes ?? 0) > 0.2 * total, `${spoolBytes} bytes in the spool`)
  t.ok((peakGrowthMb ?? Infinity) < 150, `128 MB through the spool needed ${peakGrowthMb} MB more`)
})

t.test(
  'every byte is on the disk before the name, and the name before the acknowledgement',
  mayTrace,
  async (t) => {
    const trace = join(temporaryFolder(t), 'trace')
    const folder = join(temporaryFolder(t), 'spool')
    const calls = 'trace=write,pwrite64,pwritev,fsync,rename,renameat,renameat2,unlink'
    spawnSync(
      'strace',
      // prettier-ignore
      ['-f', '-y', '-e', calls, '-o', trace, process.execPath, '--import', 'tsx',
      program('spooling-process.ts'), folder, '3', 'spool.before-ack', '9'],
      { env: { PATH: process.env['PATH'] }, encoding: 'utf8' },
    )
    const { acked, early } = judgeTrace(readFileSync(trace, 'utf8'), folder)
    t.equal(acked, 8)
    t.strictSame(early, [], 'nothing was acknowledged that a power cut could take away')
    t.ok(statSync(folder).isDirectory())
  },
)

/** Follows what would outlast a power cut, from the system calls in the order in which they ended. */
function judgeTrace(trace: string, folder: string): { acked: number; early: string[] } {
  const dirty = new Set<string>()
  const begun = new Map<string, string>()
  let folderDirty = false
  let acked = 0
  const early: string[] = []
  for (const line of trace.split('\n')) {
    const [, pid = '', text = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (text.includes('<unfinished')) {
      begun.set(pid, text)
      continue
    }
    const call = text.startsWith('<...') ? `${begun.get(pid)}${text}` : text
    const [, name = '', path = ''] = /^(\w+)\((?:\w+<)?"?([^>",]*)/.exec(call) ?? []
    if (name === 'write' && call.includes('acked ')) {
      acked += 1
      if (dirty.size > 0 || folderDirty) early.push(call)
    } else if (name.startsWith('pwrite') && path.startsWith(folder)) dirty.add(path)
    else if (name === 'fsync') {
      dirty.delete(path)
      if (path === folder) folderDirty = false
    } else if (name.startsWith('rename') && call.includes(folder)) {
      folderDirty = true
      if (dirty.size > 0) early.push(call)
    }
  }
  return { acked, early }
}
