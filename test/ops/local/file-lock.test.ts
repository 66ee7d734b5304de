import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { withFileLock } from '../../../ops/local/file-lock.ts'

const folder = mkdtempSync('/tmp/homeport-test-')
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

t.test('processes take turns: no increment is lost', async (t) => {
  const lock = join(folder, 'turns.lock')
  const counter = join(folder, 'counter')
  writeFileSync(counter, '0')
  const script = join(folder, 'count.mts')
  const module = fileURLToPath(new URL('../../../ops/local/file-lock.ts', import.meta.url))
  writeFileSync(
    script,
    `import { readFileSync, writeFileSync } from 'node:fs'
     import { withFileLock } from ${JSON.stringify(module)}
     for (let i = 0; i < 20; i++) await withFileLock(${JSON.stringify(lock)}, async () => {
       const seen = Number(readFileSync(${JSON.stringify(counter)}, 'utf8'))
       await new Promise((go) => setTimeout(go, 1))
       writeFileSync(${JSON.stringify(counter)}, String(seen + 1))
     })`,
  )
  const counting = () =>
    new Promise((ended) => {
      const args = ['--import', import.meta.resolve('tsx'), script]
      spawn(process.execPath, args, { stdio: 'inherit' }).once('exit', ended)
    })
  t.strictSame(await Promise.all([counting(), counting(), counting()]), [0, 0, 0])
  t.equal(readFileSync(counter, 'utf8'), '60')
  t.notOk(existsSync(lock))
})

t.test('the lock of a process that died is taken over', async (t) => {
  const lock = join(folder, 'dead.lock')
  // This process has the id, but it is not the one that wrote the lock.
  writeFileSync(lock, `${process.pid} another-boot/1\n`)
  t.equal(await withFileLock(lock, () => Promise.resolve('done')), 'done')
})

t.test('a lock whose owner died before its name was in it is taken over', async (t) => {
  const lock = join(folder, 'empty.lock')
  writeFileSync(lock, '')
  await t.rejects(
    withFileLock(lock, () => Promise.resolve(), { timeoutMs: 50 }),
    { code: 'LOCK_TIMEOUT' },
    'someone may be about to write it',
  )
  utimesSync(lock, new Date(0), new Date(0))
  t.equal(await withFileLock(lock, () => Promise.resolve('done'), { timeoutMs: 1000 }), 'done')
})

t.test('a lock that is held is waited for, then its owner is named', async (t) => {
  const lock = join(folder, 'held.lock')
  await withFileLock(lock, async () => {
    await t.rejects(
      withFileLock(lock, () => Promise.resolve(), { timeoutMs: 100 }),
      { code: 'LOCK_TIMEOUT', message: new RegExp(`process ${process.pid} holds`) },
    )
  })
  t.notOk(existsSync(lock), 'and freed when the work is done')
})

t.test('the lock is freed when the work fails', async (t) => {
  const lock = join(folder, 'failing.lock')
  const failing = withFileLock(lock, () => Promise.reject(new Error('no')))
  await t.rejects(failing, { message: 'no' })
  t.notOk(existsSync(lock))
})
