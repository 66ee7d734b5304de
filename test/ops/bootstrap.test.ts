import { spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { findPostgres } from '../../ops/local/find-postgres.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const { binDir } = findPostgres()

t.test('with nothing to do it says nothing', async (t) => {
  const { code, stdout, stderr } = await run(repository, [])
  t.strictSame({ code, stdout }, { code: 0, stdout: '' })
  // Only where something optional cannot be had, as FAISS without its library.
  t.match(stderr, /^(bootstrap +warning: .*\n)*$/)
})

t.test('missing npm packages are installed once, also by two starts side by side', async (t) => {
  const clone = emptyClone(t)
  const results = await Promise.all([run(clone.folder, []), run(clone.folder, [])])
  t.strictSame(
    results.map((each) => [each.code, each.stdout]),
    [
      [0, ''],
      [0, ''],
    ],
  )
  t.equal(clone.npmCalls(), 'ci --no-progress --loglevel=warn\n')
  const said = results.map((each) => each.stderr).join('')
  t.match(said, /installing the npm packages/)
  t.match(said, /waiting for another bootstrap/)

  // There is nothing to compile in this clone; that is said in one line, not tried again, and no failure.
  const again = await run(clone.folder, [])
  t.equal(again.code, 0)
  t.match(again.stderr, /^bootstrap +warning: the FAISS addon could not be built .*\n$/)

  writeFileSync(join(clone.folder, 'package-lock.json'), '{ "changed": true }')
  t.equal((await run(clone.folder, [])).code, 0)
  t.equal(clone.npmCalls().split('\n').length - 1, 2, 'a changed lock file installs again')
})

t.test('an npm that fails is shown, and tried again the next time', async (t) => {
  const clone = emptyClone(t)
  clone.program('npm', 'echo "no such package" >&2; exit 1')
  const result = await run(clone.folder, [])
  t.equal(result.code, 1)
  t.match(result.stderr, /Error: npm ci failed/)
  t.match(result.stderr, /no such package/)
  t.notOk(existsSync(join(clone.folder, 'node_modules/.homeport-package-lock.json')))
})

t.test('what a person has to do is said with the command, exit 2', async (t) => {
  const cases: [string, string[], Record<string, string>, RegExp][] = [
    ['an unknown option', ['--tests'], {}, /unknown option --tests/],
    [
      'no Postgres where it was said to be',
      [],
      { HOMEPORT_PG_BIN: '/nowhere' },
      /HOMEPORT_PG_BIN=\/nowhere has no/,
    ],
  ]
  for (const [name, args, environment, message] of cases) {
    const result = await run(emptyClone(t).folder, args, environment)
    t.equal(result.code, 2, name)
    t.equal(result.stdout, '')
    t.match(result.stderr, message)
    t.match(result.stderr, /\nTry: {3}\S/)
  }
})

t.test(
  'where Postgres 17 cannot be had, the tests across versions are skipped, and that is no failure',
  async (t) => {
    const clone = emptyClone(t)
    const first = await run(clone.folder, ['--test'])
    t.strictSame({ code: first.code, stdout: first.stdout }, { code: 0, stdout: '' })
    const skipped =
      /^bootstrap +warning: the tests across versions of Postgres are skipped: (.+) \(remove (\S+) to/m
    const [, reason, file = ''] = skipped.exec(first.stderr) ?? []
    t.match(first.stderr, /fetching Postgres 17/)
    t.match(reason, /see data.bootstrap-postgres-17.log|no Debian|Linux on x64|C compiler/)
    const again = await run(clone.folder, ['--test'])
    t.equal(again.code, 0)
    t.match(again.stderr, skipped, 'said again')
    t.notMatch(again.stderr, /fetching Postgres 17/, 'but not tried again')
    rmSync(join(clone.folder, file))
    t.match((await run(clone.folder, ['--test'])).stderr, /fetching Postgres 17/)
  },
)

t.test('a Node that is too old is named', async (t) => {
  const clone = emptyClone(t)
  clone.program('node', 'echo v18.20.0')
  const result = await run(clone.folder, [])
  t.equal(result.code, 2)
  t.match(result.stderr, /Node 20 or newer is needed; .* is v18\.20\.0/)
  t.equal(clone.npmCalls(), '')
})

t.test('the scripts pass shellcheck', async (t) => {
  const scripts = [
    'ops/bootstrap.sh',
    'ops/bootstrap/build-pgvector.sh',
    'ops/bootstrap/build-postgres-17.sh',
    '.ci/run',
  ]
  const result = await execute('shellcheck', ['-x', ...scripts], repository, process.env)
  if (result === undefined) t.pass('not run', { skip: 'shellcheck is not installed' })
  else t.strictSame(result, { code: 0, stdout: '', stderr: '' })
})

interface Clone {
  folder: string
  npmCalls(): string
  /** Puts a program of this name before all others. */
  program(name: string, body: string): void
}

/** A clone without node_modules, with an npm that only makes the folder, and without an apt that does anything. */
function emptyClone(t: Test): Clone {
  const folder = mkdtempSync('/tmp/homeport test ')
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(repository, 'ops/bootstrap.sh'), join(folder, 'ops/bootstrap.sh'))
  cpSync(join(repository, 'ops/bootstrap'), join(folder, 'ops/bootstrap'), { recursive: true })
  cpSync(join(repository, 'test/support/postgres-17'), join(folder, 'test/support/postgres-17'), {
    recursive: true,
  })
  writeFileSync(join(folder, 'package-lock.json'), '{}')
  mkdirSync(join(folder, 'programs'))
  const calls = join(folder, 'npm-calls')
  const program = (name: string, body: string) => {
    writeFileSync(join(folder, 'programs', name), `#!/bin/sh\n${body}\n`)
    chmodSync(join(folder, 'programs', name), 0o755)
  }
  program('npm', `[ "$1" = ci ] || exit 1; echo "$@" >>"${calls}"; sleep 0.3; mkdir -p node_modules`)
  program('apt-get', 'exit 1')
  program('ffmpeg', 'exit 0')
  return { folder, program, npmCalls: () => (existsSync(calls) ? readFileSync(calls, 'utf8') : '') }
}

async function run(folder: string, args: string[], environment: Record<string, string> = {}) {
  const result = await execute('bash', ['ops/bootstrap.sh', ...args], folder, {
    PATH: [join(folder, 'programs'), process.env['PATH']].join(delimiter),
    HOME: process.env['HOME'],
    HOMEPORT_PG_BIN: binDir,
    ...environment,
  })
  if (result === undefined) throw new Error('there is no bash')
  return result
}

/** Undefined when there is no such program. */
function execute(program: string, args: string[], cwd: string, env: NodeJS.ProcessEnv) {
  return new Promise<{ code: number | null; stdout: string; stderr: string } | undefined>((resolve) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (part) => (stdout += String(part)))
    child.stderr.on('data', (part) => (stderr += String(part)))
    child.once('error', () => resolve(undefined))
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}
