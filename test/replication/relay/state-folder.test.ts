import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openStateFolder, spoolFolderOf } from '../../../replication/relay/state-folder.ts'
import { temporaryFolder } from '../../support/api.ts'

const module = fileURLToPath(new URL('../../../replication/relay/state-folder.ts', import.meta.url))

/** Takes the folder in a process of its own, which then waits to be killed. */
async function holdElsewhere(path: string): Promise<{ pid: number; kill: () => Promise<void> }> {
  const script = join(mkdtempSync('/tmp/homeport-test-'), 'hold.mts')
  writeFileSync(
    script,
    `import { openStateFolder } from ${JSON.stringify(module)}
     const { holder } = await openStateFolder(${JSON.stringify(path)})
     console.log(holder)
     setInterval(() => undefined, 1000)`,
  )
  const args = ['--import', import.meta.resolve('tsx'), script]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return {
    pid: child.pid ?? 0,
    kill: async () => {
      child.kill('SIGKILL')
      await ended
      rmSync(join(script, '..'), { recursive: true })
    },
  }
}

t.test('a folder of its own, closed to everyone else, with the same holder at every start', async (t) => {
  const path = join(temporaryFolder(t), 'data', 'relay')
  const state = await openStateFolder(path)
  t.match(state, { path, spoolFolder: join(path, 'spool'), spillFolder: join(path, 'spill') })
  t.equal(spoolFolderOf(path), state.spoolFolder)
  t.match(state.holder, /^[0-9a-f-]{36}$/)
  t.equal(statSync(path).mode & 0o777, 0o700)
  for (const name of readdirSync(path)) t.equal(statSync(join(path, name)).mode & 0o077, 0, name)
  state.close()
  t.notOk(readdirSync(path).includes('relay.lock'))
  const again = await openStateFolder(path)
  t.equal(again.holder, state.holder)
  again.close()

  const open = join(temporaryFolder(t), 'open')
  mkdirSync(open, { mode: 0o755 })
  const closed = await openStateFolder(open)
  t.equal(statSync(open).mode & 0o777, 0o700, 'one that was there is closed')
  t.not(closed.holder, state.holder)
  closed.close()
})

t.test('a second relay is refused and told who has it; one that was killed holds nothing', async (t) => {
  const path = temporaryFolder(t)
  const other = await holdElsewhere(path)
  await t.rejects(openStateFolder(path), {
    code: 'STATE_FOLDER_HELD',
    message: new RegExp(`process ${other.pid}$`),
    hint: new RegExp(`kill ${other.pid}`),
    exitCode: 1,
  })
  await other.kill()
  t.ok(readdirSync(path).includes('relay.lock'), 'it had no time to tidy up')
  const state = await openStateFolder(path)
  t.match(readFileSync(join(path, 'relay.lock'), 'utf8'), new RegExp(`^${process.pid} `))
  state.close()
})

t.test('a process that has the id by chance is not taken for the holder', async (t) => {
  const path = temporaryFolder(t)
  writeFileSync(join(path, 'relay.lock'), `${process.pid} another-boot/1\n`)
  const state = await openStateFolder(path)
  await t.rejects(openStateFolder(path), { code: 'STATE_FOLDER_HELD' }, 'not twice in one process either')
  state.close()
})

t.test('one that is just starting is waited for by running again', async (t) => {
  const path = temporaryFolder(t)
  writeFileSync(join(path, 'relay.lock'), '')
  await t.rejects(openStateFolder(path), { code: 'STATE_FOLDER_HELD', message: /just starting/ })
})

t.test('a holder that was cut off is made anew, and the lock is not left behind by what fails', async (t) => {
  const path = temporaryFolder(t)
  writeFileSync(join(path, 'holder'), '')
  const state = await openStateFolder(path)
  t.equal(readFileSync(join(path, 'holder'), 'utf8').trim(), state.holder)
  state.close()
  rmSync(join(path, 'holder'))
  mkdirSync(join(path, 'holder'))
  await t.rejects(openStateFolder(path), { code: 'EISDIR' })
  t.notOk(readdirSync(path).includes('relay.lock'))
})

t.test('a folder that cannot be is named, with the setting', async (t) => {
  const file = join(temporaryFolder(t), 'file')
  writeFileSync(file, '')
  await t.rejects(openStateFolder(join(file, 'relay')), {
    code: 'STATE_FOLDER_DENIED',
    message: /a part of that path is a file/,
    hint: /RELAY_STATE_PATH/,
    exitCode: 2,
  })
})
