// What `npm test` runs after the bootstrap: lint, types and all tests; with file names, only these tests.
//
//   npm test                               everything but the slow ones
//   npm test -- test/core/lsn.test.ts      one file, no lint
//   npm run test:faults                    the slow ones, and the fault tests in full: about an hour
//   npm run test:faults -- --seed 17 test/faults/crash.test.ts    what seed 17 did there, again; --seed 101-200 many
//
// Readable output on stdout, one line a file and the whole of what failed. The last line is
// `N passed, N failed`; lint and types count as one check each.
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { settings } from '../core/config.ts'
import {
  removeDeadRuns,
  removeIdleSharedPair,
  stopRunClusters,
  testRunFolder,
} from './support/cluster-cleanup.ts'
import { quickTests, slowTests, testFilesOf } from './support/test-files.ts'
import { createTapSummary } from './support/tap-summary.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { faults: { type: 'boolean', default: false }, seed: { type: 'string' } },
})
const beyondFaults = slowTests.filter((file) => !file.startsWith('test/faults/'))
const chosen = options.faults ? ['test/faults', ...beyondFaults] : quickTests(repository)
const files = testFilesOf(repository, positionals.length > 0 ? positionals : chosen)
// Seconds a file, in which also the clusters start; in full it takes as long as it takes.
const limitSeconds = options.faults ? 7200 : 240
const running = new Set<ChildProcess>()
const runFolder = testRunFolder()
let interrupted = false

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = true
    for (const child of running) child.kill('SIGTERM')
  })
}

// A deployment's settings in this shell must not reach the tests, and neither must libpq's.
function testEnvironment(): NodeJS.ProcessEnv {
  const kept = ['HOMEPORT_PG_BIN', 'LOG_LEVEL']
  const theirs = (name: string) =>
    (name in settings && !kept.includes(name)) || /^PG[A-Z]+$|^FORCE_COLOR$/.test(name)
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !theirs(name)))
  return {
    ...environment,
    HOMEPORT_TEST_CLUSTERS: runFolder,
    NO_COLOR: '1',
    ...(options.faults ? { HOMEPORT_FAULTS: 'full' } : {}),
    ...(options.seed === undefined ? {} : { HOMEPORT_SEED: options.seed }),
  }
}

interface Outcome {
  code: number
  output: string
}

function runTool(tool: string, args: readonly string[]): Promise<Outcome> {
  return runProcess(`${repository}node_modules/.bin/${tool}`, args)
}

function runProcess(
  program: string,
  args: readonly string[],
  onText?: (text: string) => void,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: repository,
      env: testEnvironment(),
      stdio: ['ignore', 'pipe', onText === undefined ? 'pipe' : 'inherit'],
    })
    running.add(child)
    let output = ''
    const collect = onText ?? ((text: string) => void (output += text))
    child.stdout?.setEncoding('utf8').on('data', collect)
    child.stderr?.setEncoding('utf8').on('data', collect)
    child.once('error', reject)
    child.once('close', (code) => {
      running.delete(child)
      resolve({ code: code ?? 1, output })
    })
  })
}

function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** Lint, formatting and types; how many of the three failed. */
async function runChecks(): Promise<{ passed: number; failed: number }> {
  const checks = [
    { name: 'eslint', result: runTool('eslint', ['.']) },
    // The two quick ones beside the slow one: there are two cores.
    {
      name: 'tsc, prettier',
      result: runTool('tsc', ['--noEmit']).then(async (types) => {
        const format = await runTool('prettier', ['--check', '--log-level', 'warn', '.'])
        return { code: types.code + format.code, output: types.output + format.output }
      }),
    },
  ]
  let failed = 0
  for (const { name, result } of checks) {
    const { code, output } = await result
    print(`${code === 0 ? 'ok      ' : 'NOT OK  '}${name}`)
    if (code !== 0) {
      failed++
      print(output)
    }
  }
  return { passed: checks.length - failed, failed }
}

async function runTests(): Promise<{ passed: number; failed: number }> {
  // What a Ctrl-C cut off before it began did not fail.
  const summary = createTapSummary((text) => {
    if (!interrupted) print(text)
  })
  const runner = ['--import', 'tsx', 'test/run-files.ts', `--limit-seconds=${limitSeconds}`, ...files]
  const { code } = await runProcess(process.execPath, runner, (text) => summary.write(text))
  const { passed, failed, skipped } = summary.end()
  if (skipped > 0) print(`${skipped} skipped, for the reasons above`)
  if (passed + failed === 0) print('no test ran')
  // tap may fail without a failed test, as when no file matches.
  const unexplained = code !== 0 && failed === 0 ? 1 : 0
  return { passed, failed: failed + (passed + failed === 0 ? 1 : unexplained) }
}

async function main(): Promise<void> {
  const checks = positionals.length > 0 || options.faults ? { passed: 0, failed: 0 } : await runChecks()
  let tests = { passed: 0, failed: 1 }
  try {
    await removeDeadRuns()
    if (!interrupted) tests = await runTests()
  } finally {
    await stopRunClusters(runFolder)
    // Tests that were interrupted had no time to remove their own.
    await removeDeadRuns()
    await removeIdleSharedPair()
  }
  const failed = checks.failed + tests.failed + (interrupted ? 1 : 0)
  if (interrupted) print('interrupted')
  print(`${checks.passed + tests.passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}

await main()
