// Runs test files, each in a process of its own, and prints their TAP on stdout, each file whole; run.ts starts it.
//
// Not tap's own command: its loaders cost every file 0.6 s of processor time, which is more than most files take.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import t from 'tap'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'limit-seconds': { type: 'string', default: '240' } },
})

// A test waits for servers about as long as it computes: one more than there are processors keeps them busy.
t.jobs = availableParallelism() + 1
// It is the files that have a limit.
t.setTimeout(0)
for (const file of positionals) {
  const timeout = Number(options['limit-seconds']) * 1_000
  // The file is to keep to the limit by itself, and to say in which test it was.
  const env = { ...process.env, TAP_TIMEOUT: options['limit-seconds'] }
  void t.spawn(process.execPath, ['--import', 'tsx', file], { buffered: true, timeout, env }, file)
}
