import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { HealthReport } from '../../api/health.ts'
import type { startMonitorServer as StartMonitorServer } from '../../replication/monitor/monitor-server.ts'
import { noFaiss } from '../api/fallback/fixture.ts'
import { client, temporaryFolder, until } from '../support/api.ts'
import { createDatabase } from '../support/databases.ts'
import { createRole } from '../support/roles.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

void t.test('what is built runs without its sources', { timeout: 180_000 }, async (t) => {
  const folder = temporaryFolder(t)
  const dist = join(folder, 'dist')
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const built = spawnSync(process.execPath, ['--import', 'tsx', 'ops/build.ts', dist, '--unchecked'], {
    cwd: root,
  })
  t.equal(built.status, 0, built.stdout.toString())
  t.notOk(existsSync(join(dist, 'ops/build.js')))
  const scripts = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.js'),
  )
  t.ok(scripts.length > 100, `${scripts.length} files were built`)
  const traces = /failpoint\.[jt]s|armFailpoints|\bfailpoint\(/
  const armed = scripts.filter((name) => traces.test(`${name}\n${readFileSync(join(dist, name), 'utf8')}`))
  t.strictSame(armed, [], 'there is no place where a production process could be told to fail')

  const owner = await createDatabase(t, 'cloud')
  const reader = await createRole(t, owner)
  const environment = { PATH: process.env['PATH'], DATABASE_URL: reader.url, LOCAL_DATABASE_URL: owner }
  const run = (...args: string[]) =>
    spawnSync(process.execPath, args, { cwd: folder, env: environment, encoding: 'utf8' })
  t.match(run('dist/ops/cli.js', '--help'), { status: 0, stdout: /setup-replication/ })
  // Its worker, and the api's child process below, have to be the built ones: there is no .ts file here.
  const ingested = run('dist/ingest/cli.js', 'captions', 'dist/sample/talks', '--json')
  t.equal(ingested.status, 0, ingested.stderr)
  t.match(JSON.parse(ingested.stdout), { ok: true, failures: [] })

  const { startMonitorServer } = (await import(join(dist, 'replication/monitor/monitor-server.js'))) as {
    startMonitorServer: typeof StartMonitorServer
  }
  const server = await startMonitorServer({
    port: 0,
    history: { samples: async () => [], alerts: async () => [], unreadableLines: 0 },
    current: () => ({ sample: null, alerts: [], since: new Date().toISOString() }),
  })
  t.teardown(() => server.close())
  for (const path of ['/', '/page.js', '/uplot.js', '/metrics']) {
    t.equal((await fetch(server.url + path)).status, 200, `the monitor serves ${path}`)
  }

  const api = spawn(process.execPath, ['dist/api/server.js'], {
    cwd: folder,
    env: { ...environment, PORT: '0', LOG_LEVEL: 'warn', SNAPSHOT_PATH: join(folder, 'snapshot') },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(api, 'exit')
  t.teardown(async () => {
    api.kill('SIGTERM')
    await ended
  })
  const [url] = (await once(api.stdout.setEncoding('utf8'), 'data')) as [string]
  const { get, search } = client(url.trim())
  t.match((await search({ q: 'abandoned replication slot' })).body, { source: 'postgres', hits: [{}] })
  t.match(await fetch(url.trim()), { status: 200 })
  const health = await until(
    () => get<HealthReport>('/health'),
    ({ body }) => body.fallback.ready && (noFaiss !== false || body.fallback.engine === 'faiss'),
  )
  t.match(health.body.role, { read_only: true })
})
