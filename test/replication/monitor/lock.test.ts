import t, { type Test } from 'tap'
import { MonitorLock } from '../../../replication/monitor/lock.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'

function lockOf(t: Test, url: string): MonitorLock {
  const lock = new MonitorLock(url)
  t.teardown(() => lock.release())
  return lock
}

const holders = `
  select a.pid from pg_locks l join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'advisory' and l.granted and a.application_name like 'homeport monitor %'
    and a.datname = current_database()`

t.test('one holds it; the second is told who; the next has it when the first has gone', async (t) => {
  const url = await createDatabase(t, 'primary')
  const [first, second] = [lockOf(t, url), lockOf(t, url)]
  await first.hold()
  await first.hold()
  const [holder] = await queryRows<{ pid: number }>(url, holders)
  await t.rejects(second.hold(), {
    code: 'MONITOR_RUNNING',
    exitCode: 1,
    message: new RegExp(`homeport monitor ${process.pid}@.* \\(backend ${holder?.pid}, .*since 20`),
  })
  await first.release()
  await second.hold()
  await t.rejects(first.hold(), { code: 'MONITOR_RUNNING' })
})

t.test('another database of the same server has a lock of its own', async (t) => {
  const urls = [await createDatabase(t, 'primary'), await createDatabase(t, 'primary')]
  for (const url of urls) await lockOf(t, url).hold()
  t.pass()
})

t.test('a connection that was lost is opened anew, before anything else is done', async (t) => {
  const url = await createDatabase(t, 'primary')
  const lock = lockOf(t, url)
  await lock.hold()
  const [before] = await queryRows<{ pid: number }>(url, holders)
  await queryRows(url, 'select pg_terminate_backend($1)', [before?.pid])
  // The loss is noticed once, as an error of the look; the next one has it again.
  await lock.hold().catch(() => lock.hold())
  const [now] = await queryRows<{ pid: number }>(url, holders)
  t.ok(now !== undefined && now.pid !== before?.pid)
})

t.test('when somebody else took it meanwhile, that one keeps it', async (t) => {
  const url = await createDatabase(t, 'primary')
  const lock = lockOf(t, url)
  await lock.hold()
  const [before] = await queryRows<{ pid: number }>(url, holders)
  await queryRows(url, 'select pg_terminate_backend($1)', [before?.pid])
  await lockOf(t, url).hold()
  await lock.hold().catch(() => undefined)
  await t.rejects(lock.hold(), { code: 'MONITOR_RUNNING' })
})

t.test('a session of ours behind a network that swallows is ended by the next one', async (t) => {
  const url = await createDatabase(t, 'primary')
  const proxy = await startTcpProxy(t, url)
  const lock = new MonitorLock(proxy.through(url), { answerTimeoutMs: 500 })
  t.teardown(() => lock.release())
  await lock.hold()
  const [before] = await queryRows<{ pid: number }>(url, holders)
  proxy.set({ isBlackhole: true })
  await t.rejects(lock.hold())
  t.strictSame(await queryRows(url, holders), [before], 'the server believes in it still')
  proxy.set()
  await lock.hold()
  const [now] = await queryRows<{ pid: number }>(url, holders)
  t.ok(now !== undefined && now.pid !== before?.pid)
})
