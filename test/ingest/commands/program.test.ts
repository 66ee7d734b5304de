import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { runProgram } from '../../../core/cli.ts'
import { ingestProgram } from '../../../ingest/commands/program.ts'
import { createDatabase } from '../../support/databases.ts'
import { sampleTalks } from '../support/run-ingest.ts'

const settings = ['API_ONLY_MODE', 'ENABLE_INGESTION', 'LOCAL_DATABASE_URL', 'EMBEDDING_MODEL']

/** The command without a process of its own, with exactly these settings. */
async function inProcess(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  for (const name of settings) delete process.env[name]
  Object.assign(process.env, env)
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const exitCode = await runProgram({ ...ingestProgram, argv, stdout, stderr })
  stdout.end()
  stderr.end()
  return { exitCode, stdout: await text(stdout), stderr: await text(stderr) }
}

t.test('nothing is ingested where only the api runs', async (t) => {
  for (const env of [{ API_ONLY_MODE: 'true' }, { ENABLE_INGESTION: 'false' }]) {
    const [name] = Object.keys(env)
    for (const args of [['captions', sampleTalks], ['embed'], ['status']]) {
      const run = await inProcess(args, { ...env, LOCAL_DATABASE_URL: 'postgres://x@127.0.0.1:1/x' })
      t.equal(run.exitCode, 2, `${name} ${args[0]}`)
      t.match(run.stderr, new RegExp(`Error: nothing is ingested here: ${name}`))
    }
  }
})

t.test('usage and configuration', async (t) => {
  const url = await createDatabase(t, 'primary')
  const bare = await createDatabase(t, 'primary', { migrate: false })
  const cases: [string, string[], Record<string, string>, number, RegExp][] = [
    ['no path', ['captions'], { LOCAL_DATABASE_URL: url }, 2, /missing required argument 'path'/],
    ['no such path', ['captions', '/no/where'], { LOCAL_DATABASE_URL: url }, 2, /nothing at \/no\/where/],
    ['no setting', ['captions', sampleTalks], {}, 2, /LOCAL_DATABASE_URL is not set/],
    [
      'not a URL',
      ['captions', sampleTalks, '--database-url', 'here'],
      {},
      2,
      /LOCAL_DATABASE_URL is not a URL/,
    ],
    [
      'no server',
      ['captions', sampleTalks],
      { LOCAL_DATABASE_URL: 'postgres://u:secret@127.0.0.1:1/x' },
      1,
      /127\.0\.0\.1:1\/x: nothing listens there[^]*Try: start the server/,
    ],
    [
      'no tables and no pgvector',
      ['captions', sampleTalks],
      { LOCAL_DATABASE_URL: bare },
      1,
      /lacks our tables and pgvector[^]*Try: ops migrate/,
    ],
    [
      'a model that is not there',
      ['embed'],
      { LOCAL_DATABASE_URL: url, EMBEDDING_MODEL: './no-such-model' },
      2,
      /Error: /,
    ],
  ]
  for (const [what, args, env, exitCode, message] of cases) {
    const run = await inProcess(args, env)
    t.equal(run.exitCode, exitCode, `${what}: ${run.stderr}`)
    t.match(run.stderr, message, what)
    t.notMatch(run.stderr, /secret/)
    t.equal(run.stdout, '')
  }
})
