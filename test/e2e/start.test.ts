import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t from 'tap'
import { processIdentity } from '../../core/process-identity.ts'
import { resolveDataFolder } from '../../ops/local/data-folder.ts'
import { findProcesses } from '../../ops/local/processes.ts'
import { findPostgres } from '../../ops/local/find-postgres.ts'
import { Stack } from '../../ops/local/stack.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
// A home that nobody else may enter, with a space in its name: where Postgres's own user has no way in.
const home = mkdtempSync(join(tmpdir(), 'homeport start '))
chmodSync(home, 0o700)

const where: SpawnOptions = { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] }

function words(args: readonly string[]): string[] {
  return ['--import', 'tsx', 'ops/local/start.ts', '--data', home, ...args]
}

function start(args: readonly string[], more: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, words(args), { ...where, env: { ...process.env, ...more } })
}

function pause(): Promise<void> {
  return new Promise((go) => setTimeout(go, 20))
}

async function seen(child: ChildProcess, stream: 'stdout' | 'stderr', wanted: RegExp): Promise<string> {
  const lines: string[] = []
  for await (const line of createInterface({ input: child[stream] ?? process.stdin })) {
    lines.push(line)
    if (wanted.test(line)) return line
  }
  throw new Error(`${wanted.source} never came:\n${lines.join('\n')}`)
}

async function finish(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (text: Buffer) => (stdout += text.toString()))
  child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

const { folder } = resolveDataFolder(join(home, 'sample'))

function stillRunning(): number[] {
  return findProcesses((line) => line.includes(folder))
}

t.teardown(() => {
  for (const path of new Set([folder, realpathSync(home)])) rmSync(path, { recursive: true, force: true })
})

t.test('killed half-way, it is finished by the next start', async (t) => {
  const killed = start(['--once', '--json'])
  await seen(killed, 'stderr', / Ingesting /)
  killed.kill('SIGKILL')
  await once(killed, 'exit')
  t.ok(stillRunning().length > 0, 'the servers outlive a kill -9')

  const { code, stdout, stderr } = await finish(start(['--once', '--json']))
  t.equal(code, 0, stderr)
  const report = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown> & {
    search: { source: string; hits: number; top: { title: string } }
    fallback: { source: string; hits: number; top: { title: string } }
  }
  t.match(report, {
    ok: true,
    verify: 'match',
    recovered: true,
    failures: [],
    sources: 12,
    private: { sources: 1 },
    search: { source: 'postgres' },
    fallback: { source: 'memory' },
  })
  t.equal(report['cloudSegments'], report['segments'])
  t.ok(report.search.hits > 0)
  t.equal(report.search.top.title, 'The slot that ate the disk')
  t.same(report.fallback.top, report.search.top, 'memory ranks as Postgres does')
  t.same(stillRunning(), [], 'nothing is left running')
})

t.test('a second start finds its data, stays, and Ctrl-C stops all of it', async (t) => {
  const child = start(['--json'])
  const line = await seen(child, 'stdout', /"url"/)
  const { url, segments } = JSON.parse(line) as { url: string; segments: number }

  const page = await fetch(url)
  t.match(await page.text(), /<title>/)
  const search = await fetch(`${url}/search?q=idle+replication+slot`)
  t.equal(search.status, 200)
  const secret = await fetch(`${url}/search?q=marmalade-harbour`)
  t.notMatch(await secret.text(), /"text":"[^"]*marmalade/i, 'a private talk is not found')

  const other = await finish(start(['--once', '--json']))
  t.equal(other.code, 1)
  t.match(other.stderr, /ALREADY_STARTED/)

  const stack = new Stack({
    folder,
    postgres: findPostgres(),
    corpus: '',
    mode: 'native',
    out: {
      result: () => undefined,
      screen: () => undefined,
      note: () => undefined,
      progress: () => undefined,
    },
    isTerminal: false,
    signal: new AbortController().signal,
  })
  const cloud = new pg.Client({ connectionString: stack.urls.cloud })
  await cloud.connect()
  const { rows } = await cloud.query<{ leaked: number }>(
    "select count(*)::int as leaked from segments where text ilike '%marmalade%' or visibility <> 'public'",
  )
  await cloud.end()
  t.same(rows, [{ leaked: 0 }], 'nor does it lie in the cloud')
  t.ok(segments > 0)

  child.kill('SIGINT')
  const [code] = (await once(child, 'exit')) as [number | null]
  t.equal(code, 0)
  t.same(stillRunning(), [], 'nothing is left running')
  t.notOk(existsSync(join(folder, 'start.lock')))
  t.same(readdirSync(join(folder, 'run')), [])
})

t.test('when npm is gone without a word, everything stops', async (t) => {
  // What npm does, without its bootstrap, which would install packages under the feet of other tests.
  const script = `"${process.execPath}" --import tsx ops/local/start.ts --json --data "${home}"`
  const likeNpm = `require('node:child_process').spawn('sh', ['-c', process.argv[1] + '; true'], { stdio: 'inherit' })`
  const npm = spawn(process.execPath, ['-e', likeNpm, script], {
    ...where,
    env: { ...process.env, npm_lifecycle_script: script },
  })
  await seen(npm, 'stdout', /"url"/)
  npm.kill('SIGKILL')
  await once(npm, 'exit')
  // The next start comes before that one has noticed, and waits for it to end.
  const next = start(['--json'])
  await seen(next, 'stdout', /"url"/)
  next.kill('SIGTERM')
  t.strictSame(await once(next, 'exit'), [0, null])
  t.same(stillRunning(), [])
  t.same(
    ['start.lock', 'stopping'].filter((name) => existsSync(join(folder, name))),
    [],
    'stopped in order',
  )
})

t.test('a closed terminal stops all of it, and so does a second Ctrl-C that will not wait', async (t) => {
  const child = start(['--json'])
  await seen(child, 'stdout', /"url"/)
  const { pid } = JSON.parse(readFileSync(join(folder, 'run/api.json'), 'utf8')) as { pid: number }
  // An api that does not move keeps the orderly end waiting.
  process.kill(pid, 'SIGSTOP')
  child.stdout?.destroy()
  child.stderr?.destroy()
  child.kill('SIGHUP')
  await new Promise((go) => setTimeout(go, 1_200))
  t.equal(child.exitCode, null, 'it still waits for the api')
  child.kill('SIGINT')
  const [code] = (await once(child, 'exit')) as [number | null]
  t.equal(code, 130)
  while (stillRunning().length > 0) await pause()
  t.equal(processIdentity(pid), undefined)
})

t.test('secrets are in files that only we can read, and not in the log', async (t) => {
  const { readerPassword } = JSON.parse(readFileSync(join(folder, 'credentials.json'), 'utf8')) as {
    readerPassword: string
  }
  t.notMatch(readFileSync(join(folder, 'api.log'), 'utf8'), readerPassword)
  t.notMatch(readFileSync(join(folder, 'primary', 'postgres.log'), 'utf8'), readerPassword)
  t.notMatch(readFileSync(join(folder, 'cloud', 'postgres.log'), 'utf8'), readerPassword)
})

t.test('wrong words', async (t) => {
  writeFileSync(join(home, 'package.json'), '')
  for (const [args, wanted, code] of [
    [['--corpus', '/no/such/folder'], /CORPUS_MISSING/, 2],
    [['--onse'], /USAGE/, 2],
    [['--query', ' '], /--query is empty/, 2],
    // As the person sees that path, not as npm does.
    [['--data', 'package.json'], new RegExp(`${home}/package.json.*is a file`), 2],
  ] as const) {
    const ended = await finish(start([...args, '--json'], { INIT_CWD: home }))
    t.equal(ended.code, code)
    t.match(ended.stderr, wanted)
  }
  const ended = await finish(start(['--once', '--json', '--data', 'package.json'], { INIT_CWD: home }))
  const last = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '') as {
    ok: boolean
    error: { code: string }
  }
  t.match(
    last,
    { ok: false, error: { code: 'DATA_FOLDER_DENIED' } },
    'the last line is the result of this run',
  )
})
