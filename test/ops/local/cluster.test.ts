import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { processIdentity } from '../../../core/process-identity.ts'
import { Cluster } from '../../../ops/local/cluster.ts'
import { whatFailed } from '../../../ops/local/data-directory.ts'
import { resolveDataFolder } from '../../../ops/local/data-folder.ts'
import { findPostgres } from '../../../ops/local/find-postgres.ts'
import { isPortFree } from '../../../ops/local/ports.ts'
import { signalProcess } from '../../../ops/local/processes.ts'
import { unprivilegedUser } from '../../../ops/local/unprivileged-user.ts'
import { privateCluster } from '../../support/clusters.ts'
import { queryRows } from '../../support/databases.ts'

const postgres = findPostgres()
// One for most tests, which go on from where the last one left it: each new one costs a second.
const cluster = await privateCluster(t)

t.test('a new cluster: private, by password only, ready for logical replication', async (t) => {
  t.equal(cluster.status(), 'running')
  const shown = await queryRows<{ name: string; setting: string }>(
    cluster.superuserUrl(),
    `select name, setting from pg_settings where name = any($1)`,
    [['wal_level', 'listen_addresses', 'server_encoding', 'max_replication_slots']],
  )
  t.strictSame(Object.fromEntries(shown.map((each) => [each.name, each.setting])), {
    wal_level: 'logical',
    listen_addresses: '127.0.0.1',
    server_encoding: 'UTF8',
    max_replication_slots: '50',
  })
  const withoutPassword = `postgres://postgres:guess@127.0.0.1:${cluster.port}/postgres`
  await t.rejects(queryRows(withoutPassword, 'select 1'), {
    code: 'DATABASE_UNREACHABLE',
    cause: { code: '28P01' },
  })
  const closed = ['superuser-password', 'data', 'socket']
    .map((name) => join(cluster.folder, name))
    .filter(existsSync)
  t.ok(closed.length >= 2)
  for (const path of closed) t.equal(statSync(path).mode & 0o077, 0, `${path} is closed to others`)
  if (process.getuid?.() === 0) t.not(statSync(join(cluster.folder, 'data')).uid, 0)
})

t.test(
  'the same cluster again: reused while it runs, with its data after a stop, on the same port',
  async (t) => {
    await queryRows(cluster.superuserUrl(), 'create table kept as select 1 as one')
    const { port, pid } = cluster
    t.strictSame(await cluster.start(), { started: false, created: false })
    t.equal(cluster.pid, pid)
    await cluster.stop()
    t.equal(cluster.status(), 'stopped')
    await t.rejects(queryRows(cluster.superuserUrl(), 'select 1'), { code: 'DATABASE_UNREACHABLE' })
    t.strictSame(await cluster.start(), { started: true, created: false })
    t.equal(cluster.port, port)
    t.strictSame(await queryRows(cluster.superuserUrl(), 'table kept'), [{ one: 1 }])
  },
)

t.test('kill -9 of the server, with a session at work: the next start has what was committed', async (t) => {
  const cluster = await privateCluster(t)
  await queryRows(cluster.superuserUrl(), 'create table kept as select 1 as one')
  // Busy, so that this backend does not notice for itself that its server is gone.
  const busy = queryRows(
    cluster.superuserUrl(),
    `do $$ begin for i in 1..2000000000 loop perform 1; end loop; end $$`,
  ).catch((error: unknown) => error)
  const backends = async () =>
    queryRows<{ pid: number }>(
      cluster.superuserUrl(),
      `select pid from pg_stat_activity where query like 'do %' and state = 'active'`,
    )
  let orphan: number | undefined
  while (orphan === undefined) orphan = (await backends())[0]?.pid
  const pid = cluster.pid ?? 0
  signalProcess(pid, 'SIGKILL')
  while (processIdentity(pid) !== undefined) await new Promise((go) => setTimeout(go, 10))
  t.equal(cluster.status(), 'stopped')
  t.ok(existsSync(join(cluster.folder, 'data/postmaster.pid')), 'its pid file is still there')
  t.strictSame(await cluster.start(), { started: true, created: false })
  t.equal(processIdentity(orphan), undefined, 'the backend that outlived it is gone')
  t.strictSame(await queryRows(cluster.superuserUrl(), 'table kept'), [{ one: 1 }])
  await busy
})

t.test('a pid file that names a process which is no server, as after a reboot', async (t) => {
  const file = join(cluster.folder, 'data/postmaster.pid')
  const lines = readFileSync(file, 'utf8').split('\n')
  await cluster.stop()
  writeFileSync(file, [String(process.pid), ...lines.slice(1)].join('\n'))
  t.equal(cluster.status(), 'stopped')
  t.strictSame(await cluster.start(), { started: true, created: false })
})

t.test('a port that someone took meanwhile is replaced and remembered', async (t) => {
  await cluster.stop()
  const taken = cluster.port
  const other = createServer()
  await new Promise<void>((listening) => other.listen(taken, '127.0.0.1', listening))
  t.teardown(() => other.close())
  t.notOk(await isPortFree(taken))
  await cluster.start()
  t.not(cluster.port, taken)
  t.equal((await queryRows(cluster.superuserUrl(), 'select 1')).length, 1)
  const sameFolder = new Cluster({ name: 'primary', folder: cluster.folder, postgres })
  t.equal(sameFolder.port, cluster.port)
})

t.test('data of another major version is refused with both numbers', async (t) => {
  await cluster.stop()
  const newer = new Cluster({
    name: 'primary',
    folder: cluster.folder,
    postgres: { ...postgres, majorVersion: postgres.majorVersion + 1 },
  })
  await t.rejects(newer.start(), {
    code: 'CLUSTER_VERSION',
    exitCode: 2,
    message: new RegExp(`made by Postgres ${postgres.majorVersion}; .* version ${postgres.majorVersion + 1}`),
  })
})

t.test('a start that fails ends with the words of the server', async (t) => {
  await cluster.stop()
  writeFileSync(join(cluster.folder, 'data/postgresql.auto.conf'), "shared_buffers = 'plenty'\n")
  t.teardown(() => rmSync(join(cluster.folder, 'data/postgresql.auto.conf')))
  await t.rejects(cluster.start(), {
    code: 'CLUSTER_START',
    message: /invalid value for parameter "shared_buffers"/,
  })
})

t.test('a creation that was cut off is done again', async (t) => {
  await cluster.stop()
  rmSync(join(cluster.folder, 'data/PG_VERSION'))
  t.equal(cluster.status(), 'absent')
  await cluster.start()
  t.equal((await queryRows(cluster.superuserUrl(), 'select 1')).length, 1)
})

t.test('a long path with spaces and quotes, closed to everyone else', async (t) => {
  const parent = closedFolder(t, `it's a "long" one, ${'x'.repeat(60)}`)
  const { folder, moved } = resolveDataFolder(join(parent, 'data'), {
    elsewhere: join(parent, '../else where'),
  })
  t.equal(moved, process.getuid?.() === 0)
  const cluster = new Cluster({ name: 'cloud', folder: join(folder, 'cloud'), postgres, durable: false })
  t.teardown(() => cluster.destroy())
  await cluster.start()
  const [shown] = await queryRows<{ folder: string }>(cluster.superuserUrl(), 'show data_directory')
  t.match(shown, { data_directory: join(folder, 'cloud/data') })
})

t.test('an initdb that outlived a killed start does not come between', async (t) => {
  await cluster.stop()
  const data = join(cluster.folder, 'data')
  rmSync(data, { recursive: true })
  const user = unprivilegedUser()
  const orphan = spawn(join(postgres.binDir, 'initdb'), ['-D', `${data}.new`, '--no-sync'], {
    cwd: '/',
    stdio: 'ignore',
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  })
  t.teardown(() => orphan.kill('SIGKILL'))
  while (!existsSync(join(data, '../data.new/base'))) await new Promise((go) => setTimeout(go, 5))
  t.strictSame(await cluster.start(), { started: true, created: true })
  t.equal(processIdentity(orphan.pid ?? 0), undefined, 'it was ended')
  t.equal((await queryRows(cluster.superuserUrl(), 'select 1')).length, 1)
})

t.test('a creation that fails ends with what is wrong, not with all that initdb says', async (t) => {
  const full =
    'creating subdirectories ... ok\nFATAL:  could not extend file: No space left on device\nAborted\n'
  t.equal(whatFailed(full), 'FATAL:  could not extend file: No space left on device')
  t.equal(whatFailed('something new\n'), 'something new')
})

/** A folder that only its owner may enter, below one that everybody may. */
function closedFolder(t: Test, name: string): string {
  const base = mkdtempSync('/tmp/homeport test ')
  t.teardown(() => rmSync(base, { recursive: true, force: true }))
  chmodSync(base, 0o755)
  return mkdtempSync(join(base, name))
}
