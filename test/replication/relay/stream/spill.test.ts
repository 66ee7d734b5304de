import { readdirSync, writeFileSync } from 'node:fs'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { FrameLog } from '../../../../replication/relay/stream/frame-log.ts'
import { SpillFile } from '../../../../replication/relay/stream/spill-file.ts'
import { openSpillFolder } from '../../../../replication/relay/stream/spill-folder.ts'

async function contents(log: FrameLog): Promise<string[]> {
  const frames: string[] = []
  for await (const group of log.read()) frames.push(...group.map((frame) => frame.toString('latin1')))
  return frames
}

t.test('a log reads the same from memory and from disk, whenever it moves and goes back', async (t) => {
  const folder = await openSpillFolder(t.testdir())
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ size: fc.oneof(fc.nat(40), fc.nat(400_000)) }) },
    { weight: 1, arbitrary: fc.constant('spill' as const) },
    { weight: 2, arbitrary: fc.constant('mark' as const) },
    { weight: 1, arbitrary: fc.constant('back' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const log = new FrameLog()
      let expected: string[] = []
      let mark = log.mark()
      for (const [number, one] of steps.entries()) {
        if (one === 'spill') {
          if (!log.isSpilled) log.spill(folder.newPath())
        } else if (one === 'mark') mark = log.mark()
        else if (one === 'back') {
          log.truncate(mark)
          expected = expected.slice(0, mark.frames)
        } else {
          const frame = Buffer.alloc(one.size, 65 + (number % 26))
          log.append(frame)
          expected.push(frame.toString('latin1'))
        }
      }
      log.seal()
      const bytes = expected.reduce((sum, frame) => sum + 4 + frame.length, 0)
      const same = (frames: string[]) => frames.join() === expected.join() && log.bytes === bytes
      // Read twice: a batch may be sent again.
      const result = same(await contents(log)) && same(await contents(log))
      await log.release()
      return result
    }),
    { numRuns: 60 },
  )
  t.same(readdirSync(t.testdirName), [], 'and leaves nothing behind')
})

t.test('what an earlier process left behind goes, what this one still needs stays', async (t) => {
  const path = t.testdir({ 'old-1.spill': 'x', 'old-2.spill': 'y', 'other.txt': 'z' })
  const folder = await openSpillFolder(path)
  writeFileSync(folder.newPath(), 'ours')
  t.equal(readdirSync(path).length, 2)
  await openSpillFolder(path)
  t.equal(readdirSync(path).length, 2, 'a stream that opens again keeps the batches of the one before')
  t.ok(readdirSync(path).includes('other.txt'))
})

t.test('a file that is not as it was written is an error, not an end', async (t) => {
  const path = join(t.testdir(), 'a.spill')
  const file = new SpillFile(path)
  for (let n = 0; n < 10; n++) file.append(Buffer.alloc(1000, n))
  file.seal()
  await truncate(path, 5_500)
  await t.rejects(
    async () => {
      for await (const frames of file.read()) t.ok(frames)
    },
    { code: 'SPILL_FAILED' },
  )
  await file.remove()
  await t.rejects(
    async () => {
      for await (const frames of file.read()) t.ok(frames)
    },
    { code: 'SPILL_FAILED', message: /ENOENT/ },
  )
  t.throws(() => new SpillFile(join(path, 'no', 'folder')), { code: 'SPILL_FAILED' })
})
