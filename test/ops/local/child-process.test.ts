import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { processIdentity } from '../../../core/process-identity.ts'
import { endLeftovers, startChild } from '../../../ops/local/child-process.ts'
import { endProcess } from '../../../ops/local/processes.ts'

const environment = { PATH: process.env['PATH'] }

t.test('a child is recorded while it runs, heard line by line, and stopped politely', async (t) => {
  const folder = temporaryFolder(t)
  const lines: string[] = []
  const child = await startedChild(
    folder,
    `process.on('SIGTERM', () => { console.log('closing'); process.exit(0) })`,
    (line) => lines.push(line),
  )
  const record = JSON.parse(readFileSync(join(folder, 'run/worker.json'), 'utf8')) as unknown
  t.strictSame(record, { name: 'worker', pid: child.pid, identity: processIdentity(child.pid) })
  await child.stop()
  t.strictSame(await child.exited, { code: 0, signal: null })
  t.strictSame(readdirSync(join(folder, 'run')), [])
  t.strictSame(lines, ['up one two', 'closing'])
})

t.test('a child that does not listen is killed after its deadline', async (t) => {
  const child = await startedChild(temporaryFolder(t), `process.on('SIGTERM', () => {})`)
  await child.stop(100)
  t.strictSame(await child.exited, { code: null, signal: 'SIGKILL' })
})

t.test('kill -9 of the parent ends the child', async (t) => {
  const folder = temporaryFolder(t)
  const { parent, childPid } = await parentWithChild(folder, '')
  const identity = processIdentity(childPid)
  t.ok(identity)
  parent.kill('SIGKILL')
  while (processIdentity(childPid) === identity) await pause()
  t.ok(existsSync(join(folder, 'run/worker.json')), 'nobody was left to remove the record')
  t.strictSame(await endLeftovers(join(folder, 'run')), [], 'and the next start finds nothing to end')
})

t.test('what outlived a killed parent is ended by the next start', async (t) => {
  const folder = temporaryFolder(t)
  // It minds neither the signal nor the closed channel.
  const deaf = `process.on('SIGTERM', () => {}); process.removeAllListeners('disconnect')`
  const { parent, childPid } = await parentWithChild(folder, deaf)
  parent.kill('SIGKILL')
  while (processIdentity(parent.pid ?? 0) !== undefined) await pause()
  t.ok(processIdentity(childPid))
  t.strictSame(await endLeftovers(join(folder, 'run'), 100), ['worker'])
  t.equal(processIdentity(childPid), undefined)
  t.strictSame(readdirSync(join(folder, 'run')), [])
})

t.test('a process that merely has a recorded id is left alone', async (t) => {
  const folder = temporaryFolder(t)
  const bystander = spawn('sleep', ['60'])
  t.teardown(() => bystander.kill('SIGKILL'))
  const pid = bystander.pid ?? 0
  const record = { name: 'api', pid, identity: `${processIdentity(pid)}0` }
  writeFileSync(join(folder, 'api.json'), JSON.stringify(record))
  writeFileSync(join(folder, 'cut-off.json'), '{"name":"ap')
  t.strictSame(await endLeftovers(folder), [])
  t.ok(processIdentity(pid), 'it still runs')
  t.strictSame(readdirSync(folder), [], 'the records are gone')
  t.equal(await endProcess(pid, processIdentity(pid) ?? '', 1000), true)
  t.equal(processIdentity(pid), undefined)
})

function temporaryFolder(t: Test): string {
  const folder = mkdtempSync('/tmp/homeport-test-')
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function childScript(folder: string, code: string): string {
  const file = join(folder, 'child.ts')
  const rest = `console.log('up ' + process.argv.slice(2).join())\nsetInterval(() => {}, 1000)\n`
  writeFileSync(file, `${code}\n${rest}`)
  return file
}

/** A child that has said its first line. */
async function startedChild(folder: string, code: string, onLine: (line: string) => void = () => {}) {
  let up = () => {}
  const ready = new Promise<void>((go) => (up = go))
  const child = await startChild({
    name: 'worker',
    script: childScript(folder, code),
    args: ['one two'],
    environment,
    runFolder: join(folder, 'run'),
    onStdoutLine: (line) => {
      onLine(line)
      up()
    },
  })
  await ready
  return child
}

/** A process of its own that starts a child, so that it can be killed. */
async function parentWithChild(folder: string, code: string) {
  const helper = fileURLToPath(new URL('../../../ops/local/child-process.ts', import.meta.url))
  const script = join(folder, 'parent.mts')
  const runFolder = join(folder, 'run')
  const options = { name: 'worker', script: childScript(folder, code), environment, runFolder }
  writeFileSync(
    script,
    `import { startChild } from ${JSON.stringify(helper)}
     const child = await startChild({ ...${JSON.stringify(options)}, onStdoutLine: () => console.log(child.pid) })`,
  )
  const parent = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const childPid = await new Promise<number>((got) => {
    createInterface({ input: parent.stdout }).once('line', (line) => got(Number(line)))
  })
  return { parent, childPid }
}

function pause(): Promise<void> {
  return new Promise((go) => setTimeout(go, 10))
}
