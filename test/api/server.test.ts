import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { HealthReport } from '../../api/health.ts'
import { client, temporaryFolder, until } from '../support/api.ts'
import { seedContent } from '../support/content.ts'
import { createDatabase } from '../support/databases.ts'
import { createRole } from '../support/roles.ts'
import { talks } from '../support/talks.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Server {
  child: ChildProcess
  stderr: () => string
  /** The line on stdout that says where it listens. */
  url: () => Promise<string>
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals | null>
}

function startServer(t: Test, environment: Record<string, string>, ipc = false): Server {
  const child = spawn(process.execPath, ['--import', 'tsx', 'api/server.ts'], {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      FALLBACK_ENGINE: 'scan',
      SNAPSHOT_PATH: `${temporaryFolder(t)}/snapshot`,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (data: Buffer) => (stdout += data.toString()))
  child.stderr?.on('data', (data: Buffer) => (stderr += data.toString()))
  // Not 'close', which does not come when it was us who closed the channel between us.
  const ended = Promise.all([
    once(child, 'exit'),
    child.stderr === null ? null : once(child.stderr, 'end'),
  ]).then(() => child.exitCode ?? child.signalCode)
  t.teardown(async () => {
    if (child.exitCode === null) child.kill('SIGKILL')
    await ended
  })
  const url = async () => {
    await until(
      () => Promise.resolve(stdout.includes('\n') || child.exitCode !== null),
      (done) => done,
    )
    return stdout.trim()
  }
  return { child, stderr: () => stderr, url, ended }
}

void t.test('a role that can write is refused with reasons and the fix', async (t) => {
  const owner = await createDatabase(t, 'cloud')
  const server = startServer(t, { DATABASE_URL: owner })
  t.equal(await server.ended, 2)
  t.match(server.stderr(), /Error: the api reads with role postgres, which can write:\n {2}- it passes/)
  t.match(server.stderr(), /it may insert into public\./)
  t.match(server.stderr(), /Try: .*ops setup-replication/)

  const allowed = startServer(t, { DATABASE_URL: owner, ALLOW_WRITABLE_ROLE: 'true' })
  const { body } = await client(await allowed.url()).get<HealthReport>('/health')
  t.match(body, { status: 'warn', role: { name: 'postgres', read_only: false, override: true } })
})

void t.test('listens, answers, logs no question and no password, and stops at SIGTERM', async (t) => {
  const owner = await createDatabase(t, 'cloud')
  await seedContent(owner, { sources: talks, model: { id: 1, dimensions: 16 } })
  const reader = await createRole(t, owner)
  const server = startServer(t, { DATABASE_URL: reader.url, LOG_LEVEL: 'trace' })
  const url = await server.url()
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+$/)
  const answer = await client(url).search({ q: 'abandoned zyzzyva slot' })
  t.match(answer, { status: 200, body: { source: 'postgres', hits: [{ segmentId: '1001' }] } })
  t.match(await client(url).search({ q: 'zyzzyva\0' }), { status: 400 })
  await until(
    () => client(url).get<HealthReport>('/health'),
    ({ body }) => body.fallback.ready,
  )
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0, 'also while a connection is kept alive')
  t.match(server.stderr(), /"route":"\/search"/)
  t.notMatch(server.stderr(), /zyzzyva/i)
  t.notMatch(server.stderr(), /:test@/)
})

void t.test('a port that is taken', async (t) => {
  const reader = await createRole(t, await createDatabase(t, 'cloud'))
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const server = startServer(t, { DATABASE_URL: reader.url, PORT: String(port) })
  t.equal(await server.ended, 1)
  t.match(server.stderr(), new RegExp(`Error: 127\\.0\\.0\\.1:${port} is taken by another program\nTry: `))
})

void t.test('started by another process it tells its address and does not outlive it', async (t) => {
  const reader = await createRole(t, await createDatabase(t, 'cloud'))
  const server = startServer(t, { DATABASE_URL: reader.url }, true)
  const [message] = (await once(server.child, 'message')) as [unknown]
  t.match(message, { type: 'listening', url: /^http:\/\/127\.0\.0\.1:\d+$/ })
  server.child.disconnect()
  t.equal(await server.ended, 0)
})

void t.test('settings that are missing or wrong', async (t) => {
  const cases: [environment: Record<string, string>, message: RegExp][] = [
    [{}, /Error: DATABASE_URL is not set/],
    [{ DATABASE_URL: 'mysql://user:sesame@host/x' }, /Error: DATABASE_URL is not a URL like/],
    [{ DATABASE_URL: 'postgres://h/d', PORT: '99999' }, /Error: PORT is not a whole number/],
    [{ DATABASE_URL: 'postgres://h/d', ALLOW_WRITABLE_ROLE: 'perhaps' }, /Error: ALLOW_WRITABLE_ROLE/],
    [
      { DATABASE_URL: 'postgres://h/d', TRUST_PROXY: '10.0.0.0/8,nginx' },
      /Error: TRUST_PROXY holds nginx, which is no address\nTry: /,
    ],
    [{ DATABASE_URL: 'postgres://h/d', TRUST_PROXY: '0.0.0.0/0' }, /Error: TRUST_PROXY holds 0\.0\.0\.0\/0/],
  ]
  await Promise.all(
    cases.map(async ([environment, message]) => {
      const server = startServer(t, environment)
      t.equal(await server.ended, 2, String(message))
      t.match(server.stderr(), message)
      t.notMatch(server.stderr(), /sesame/)
    }),
  )
})
