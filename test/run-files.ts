// Runs test files and prints their TAP on stdout, each file whole; run.ts starts it. Each has a process of its own,
// but those that only compute share one.
//
// Not tap's own command: its loaders cost every file 0.6 s of processor time, which is more than most files take.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import t from 'tap'
import { groupTests } from './support/test-files.ts'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'limit-seconds': { type: 'string', default: '240' } },
})

// A test waits for servers about as long as it computes: more than there are processors keeps these busy.
t.jobs = availableParallelism() + 2
// It is the files that have a limit.
t.setTimeout(0)
const { alone, together } = groupTests(positionals)
for (const file of alone) run(file, [file])
if (together.length > 0) run(`test/run-group.ts:${together.length}`, ['test/run-group.ts', ...together])

function run(name: string, words: readonly string[]): void {
  const limitSeconds = options['limit-seconds']
  // The file is to keep to the limit by itself, and to say in which test it was.
  const env = { ...process.env, TAP_TIMEOUT: limitSeconds }
  const timeout = Number(limitSeconds) * 1_000
  void t.spawn(process.execPath, ['--import', 'tsx', ...words], { buffered: true, timeout, env }, name)
}
