import t, { type Test } from 'tap'
import { connect } from '../../../core/db.ts'
import { askIngestToPause, withdrawPause } from '../../../replication/relay/ingest-pause.ts'
import { createDatabase, queryRows, uniqueName } from '../../support/databases.ts'
import { captionsInProcess, paragraph, webvtt } from '../support/in-process.ts'
import { runIngest } from '../support/run-ingest.ts'
import { rowPlaces, storedContent } from '../support/stored.ts'

const talks = (t: Test, count: number): string =>
  t.testdir(
    Object.fromEntries(
      Array.from({ length: count }, (_, talk) => [
        `talk-${talk}.vtt`,
        webvtt(Array.from({ length: 4 }, (_, index) => paragraph(talk * 10 + index))),
      ]),
    ),
  )

/** A migrated primary with a slot, as a relay has it. */
async function withSlot(t: Test): Promise<{ url: string; slot: string }> {
  const url = await createDatabase(t, 'primary')
  const slot = uniqueName('homeport')
  await queryRows(url, `select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot])
  return { url, slot }
}

async function onPrimary<T>(
  url: string,
  work: (db: Parameters<typeof withdrawPause>[0]) => Promise<T>,
): Promise<T> {
  const db = await connect({ connectionString: url, applicationName: 'homeport test' })
  try {
    return await work(db)
  } finally {
    await db.end()
  }
}

const paused = { code: 'INGEST_PAUSED', exitCode: 1, hint: /--ignore-pause/ }

t.test('ingest waits while a relay asks for it, and goes on when it may', async (t) => {
  const { url, slot } = await withSlot(t)
  const folder = talks(t, 2)
  const before = await rowPlaces(url)
  await onPrimary(url, (db) => askIngestToPause(db, slot, 'the slot keeps 9.1 GB of log'))
  await t.rejects(captionsInProcess(url, [folder]), {
    ...paused,
    message: /^the relay asks ingest to wait since 20.*Z: the slot keeps 9\.1 GB of log$/,
  })
  t.same(await rowPlaces(url), before, 'nothing was written')
  const dry = await captionsInProcess(url, [folder], { dryRun: true })
  t.match(dry.report, { ok: true, sources: { added: 2 } }, 'a dry run writes nothing anyway')

  const run = await runIngest(['captions', folder], { env: { LOCAL_DATABASE_URL: url } })
  t.match(run, {
    exitCode: 1,
    stdout: '',
    stderr: /Error: the relay asks ingest to wait since .*\nTry: ops status/,
  })
  const embed = await runIngest(['embed', '--json'], { env: { LOCAL_DATABASE_URL: url } })
  t.match(embed, { exitCode: 1, stderr: /"code":"INGEST_PAUSED"/ })
  const status = await runIngest(['status', '--json'], { env: { LOCAL_DATABASE_URL: url } })
  t.match(JSON.parse(status.stdout), {
    pause: { slot, reason: 'the slot keeps 9.1 GB of log', since: /^20/ },
  })

  await onPrimary(url, (db) => askIngestToPause(db, slot, 'now 9.4 GB'))
  await t.rejects(
    captionsInProcess(url, [folder]),
    { ...paused, message: /now 9\.4 GB$/ },
    'the newest reason',
  )
  t.equal(await onPrimary(url, (db) => withdrawPause(db, slot)), true)
  t.equal(await onPrimary(url, (db) => withdrawPause(db, slot)), false)
  t.match((await captionsInProcess(url, [folder])).report, { ok: true, sources: { added: 2 } })
})

t.test('an operator may go on regardless', async (t) => {
  const { url, slot } = await withSlot(t)
  await onPrimary(url, (db) => askIngestToPause(db, slot, 'full'))
  const env = { LOCAL_DATABASE_URL: url }
  const run = await runIngest(['captions', talks(t, 2), '--ignore-pause', '--json'], { env })
  t.match(JSON.parse(run.stdout), { ok: true, sources: { added: 2 } })
  t.equal((await runIngest(['embed', '--force', '--ignore-pause'], { env })).exitCode, 0)
})

/** What asks in the middle of a run: the n-th row written to a table brings the request along. */
async function askAtRow(url: string, where: { slot: string; table: string; nth: number }): Promise<void> {
  await queryRows(url, 'create sequence asked')
  await queryRows(
    url,
    `create function ask() returns trigger language plpgsql as $$
     begin
       if nextval('asked') = ${where.nth} then
         insert into ingest_pause (slot, reason) values ('${where.slot}', 'in the middle');
       end if;
       return null;
     end $$`,
  )
  await queryRows(
    url,
    `create trigger ask after insert on ${where.table} for each row execute function ask()`,
  )
}

t.test('asked in the middle, it stops between two transactions, and loses nothing', async (t) => {
  const folder = talks(t, 6)
  const cleanUrl = await createDatabase(t, 'primary')
  await captionsInProcess(cleanUrl, [folder])
  const clean = await storedContent(cleanUrl)
  for (const [table, nth, sources] of [
    ['sources', 3, 3],
    ['segments', 10, 3],
    ['lexicon', 1, 6],
    ['models', 1, 6],
    ['embeddings', 5, 6],
  ] as const) {
    const { url, slot } = await withSlot(t)
    await askAtRow(url, { slot, table, nth })
    await t.rejects(captionsInProcess(url, [folder]), paused, `at row ${nth} of ${table}`)
    const [stored] = await queryRows<{ sources: number; halves: number }>(
      url,
      `select (select count(*)::int from sources) as sources,
         (select count(*)::int from sources where id not in (select source_id from ingested_files)) as halves`,
    )
    t.strictSame(stored, { sources, halves: 0 }, 'what was begun is whole')
    await onPrimary(url, (db) => withdrawPause(db, slot))
    await captionsInProcess(url, [folder])
    t.same(await storedContent(url), clean, 'and in the end all is there')
  }
})

t.test('a request of a slot that is gone means nothing', async (t) => {
  const { url, slot } = await withSlot(t)
  await onPrimary(url, (db) => askIngestToPause(db, slot, 'full'))
  await queryRows(url, 'select pg_drop_replication_slot($1)', [slot])
  t.ok((await captionsInProcess(url, [talks(t, 1)])).report.ok)
})

t.test('the relay needs rights on that one table only', async (t) => {
  const { url, slot } = await withSlot(t)
  const role = uniqueName('replicator')
  await queryRows(url, `create role ${role} login password 'x'`)
  t.teardown(async () => {
    await queryRows(url, `drop owned by ${role}`)
    await queryRows(url, `drop role ${role}`)
  })
  await queryRows(url, `grant select, insert, update, delete on ingest_pause to ${role}`)
  const theirs = new URL(url)
  theirs.username = role
  theirs.password = 'x'
  await onPrimary(theirs.href, async (db) => {
    await askIngestToPause(db, slot, 'one')
    await askIngestToPause(db, slot, 'two')
    t.equal(await withdrawPause(db, slot), true)
    await t.rejects(db.query('delete from sources'), { code: '42501' })
  })
})
