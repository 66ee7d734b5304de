import t, { type Test } from 'tap'
import { queryRows } from '../../support/databases.ts'
import { startOps, type OpsProcess } from '../../support/ops-process.ts'
import { compareRows } from '../../support/oracles/equality.ts'
import { createFollowing, insertSources, type Following } from '../relay/apply/fixture.ts'
import { applyWhole, failure, openLink, stagedParts } from './link-fixture.ts'
import { ask, testKey } from './support.ts'

const canary = 'kestrel-4711'
const tokenSecret = `secret-of-tokens-${canary}-and-then-some`

async function startProcess(
  t: Test,
  { cloudUrl }: Following,
  more: { failpoint?: string; settings?: Record<string, string> } = {},
): Promise<{ process: OpsProcess; url: string }> {
  const process = startOps(t, {
    args: ['gateway'],
    settings: { GATEWAY_DATABASE_URL: cloudUrl, GATEWAY_PORT: '0', ...more.settings },
    ...(more.failpoint === undefined ? {} : { failpoint: more.failpoint }),
  })
  const [url] = await process.answered(/http:\/\/127\.0\.0\.1:\d+/)
  return { process, url }
}

/** A trigger in the cloud that writes down every source that arrives. */
async function audit({ cloud }: Following): Promise<() => Promise<number>> {
  await cloud.query(`create table audit (id bigint)`)
  await cloud.query(
    `create function audit() returns trigger language plpgsql as $$ begin insert into audit values (new.id); return null; end $$`,
  )
  await cloud.query(`create trigger audit after insert on sources for each row execute function audit()`)
  await cloud.query(`alter table sources enable always trigger audit`)
  return async () => (await cloud.query('select from audit')).rowCount ?? 0
}

void t.test('a gateway that is killed before or after the commit changes nothing about once', async (t) => {
  for (const where of ['gateway.before-commit', 'gateway.after-commit']) {
    const following = await createFollowing(t)
    const { primary, cloud, lease } = following
    const arrived = await audit(following)
    const { key } = await testKey(following.cloudUrl)
    await insertSources(primary, 1, 400)
    const batch = following.batch(await following.take(), following.before, { framesPerPart: 90 })
    const doomed = await startProcess(t, following, { failpoint: `${where}:1:kill` })
    const link = openLink(t, doomed.url, key)
    t.match(
      await failure(link.apply(batch, { lease, quarantine: false })),
      { code: 'GATEWAY_UNREACHABLE' },
      where,
    )
    t.match(await doomed.process.exited, { signal: 'SIGKILL' })
    const isThere = where === 'gateway.after-commit'
    // The server may still be busy with what it was told last.
    if (isThere) while ((await arrived()) === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    t.equal(await arrived(), isThere ? 400 : 0, where)
    t.equal(await stagedParts(following), 4, 'its parts wait on')

    const { url } = await startProcess(t, following)
    const again = openLink(t, url, key)
    t.match(await applyWhole(following, again, batch), { isNew: !isThere }, where)
    t.equal(await arrived(), 400, 'once')
    t.same(await compareRows(primary, cloud), [])
    await insertSources(primary, 401, 410)
    const next = following.batch(await following.take(), batch.end, { framesPerPart: 5 })
    await applyWhole(following, again, next)
    t.equal(await stagedParts(following), 0, 'and what was left of them goes with the next')
  }
})

void t.test('nothing of a row, a key or a password is said anywhere, whatever fails', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, lease, slot } = following
  const { key } = await testKey(following.cloudUrl)
  const { process, url } = await startProcess(t, following, {
    settings: { LOG_LEVEL: 'trace', GATEWAY_JWT_SECRET: tokenSecret },
  })
  const link = openLink(t, url, key)
  const said: string[] = []
  const fail = async (work: Promise<unknown>, code: string): Promise<void> => {
    const error = await work.then(
      () => null,
      (thrown: unknown) => thrown as Error & { code?: string; hint?: string },
    )
    t.equal(error?.code, code)
    said.push(`${error?.stack} ${error?.hint}`)
  }
  await primary.query(
    `insert into sources (id, kind, title, visibility, transcript_method, processed_at)
     values (1, 'video', '${canary}', 'public', 'transcript', now()), (2, 'video', '${canary}', 'public', 'transcript', now())`,
  )
  const options = { lease, quarantine: false }
  const batch = following.batch(await following.take(), following.before)
  await cloud.query(`alter table sources add constraint short check (length(title) < 5)`)
  await fail(link.apply(batch, options), 'POISON_ROW')
  await cloud.query(`alter table sources drop constraint short`)
  await insertSources(cloud, 2, 2)
  await fail(link.apply(batch, options), 'DUPLICATE_KEY')
  await cloud.query(`delete from sources`)
  await cloud.query(
    `create function say() returns trigger language plpgsql as $$ begin raise exception '%', new.title; end $$`,
  )
  await cloud.query(`create trigger say before insert on sources for each row execute function say()`)
  await cloud.query(`alter table sources enable always trigger say`)
  await fail(link.apply(batch, options), 'POISON_ROW')
  await cloud.query(`drop trigger say on sources`)
  await cloud.query(`alter table sources drop column title cascade`)
  await fail(link.apply(batch, options), 'SCHEMA_MISMATCH')
  await cloud.query(`alter table sources add column title text`)
  await link.apply(batch, { ...options, quarantine: true })
  const token = await ask(`${url}/v1/token`, { key, json: {} })
  t.equal(token.status, 200)
  await ask(`${url}/v1/lease`, { key, json: { slot, holder: canary } })
  await ask(`${url}/${canary}`, { key })
  await ask(`${url}/v1/progress?slot=${canary}`, { key: `${key}x` })
  const answers = await Promise.all(['/health', '/metrics', '/live'].map((path) => ask(url + path, { key })))
  said.push(...answers.map(({ body }) => JSON.stringify(body)))
  await process.terminate()
  const everything = [...said, process.stderr, process.stdout].join('\n')
  t.match(process.stderr, /request failed/)
  for (const secret of [canary, key.slice(16), String(token.body['token']), tokenSecret]) {
    t.notMatch(everything, secret)
  }
})

void t.test('a gateway needs one setting only, and stops in time', async (t) => {
  const following = await createFollowing(t)
  const { process, url } = await startProcess(t, following)
  t.match(await ask(`${url}/live`), { status: 200, body: { live: true } })
  const startedAt = Date.now()
  t.match(await process.terminate(), { code: 0, signal: null })
  t.ok(Date.now() - startedAt < 10_000)
})

void t.test('health says how the relay is, and more to who has a key', async (t) => {
  const following = await createFollowing(t)
  const { cloud, cloudUrl, lease } = following
  const { key } = await testKey(cloudUrl, ['relay:read'])
  const writer = await testKey(cloudUrl)
  const { url } = await startProcess(t, following)
  await queryRows(cloudUrl, `insert into heartbeat values (1, 7, now() - interval '9 seconds', '0/1')`)
  const open = await ask(`${url}/health`)
  t.match(open, { status: 200, body: { status: 'ok', state: 'following', stop_code: null } })
  t.same(Object.keys(open.body), ['status', 'state', 'stop_code', 'lag_seconds'])
  t.ok(Number(open.body['lag_seconds']) >= 9)
  t.match((await ask(`${url}/health`, { key: `${key}x` })).status, 401, 'a wrong key is not no key')

  const link = openLink(t, url, writer.key)
  const stop = { stopCode: 'POISON_ROW', stopMessage: 'sources (id 7)', stopHint: 'ops relay --quarantine' }
  await link.report(lease, { state: 'stopped', ...stop })
  await cloud.query(
    `insert into relay_quarantine (slot, commit_lsn, table_name, operation, key, error_code, reason)
     values ($1, '0/1', 'sources', 'insert', '{7}', '23514', 'x')`,
    [following.slot],
  )
  await new Promise((resolve) => setTimeout(resolve, 1_600))
  t.match((await ask(`${url}/health`)).body, { status: 'warn', state: 'stopped', stop_code: 'POISON_ROW' })
  const { body } = await ask(`${url}/health`, { key })
  t.match(body, {
    status: 'warn',
    problems: [/stopped: POISON_ROW/, /1 rows .* quarantine/],
    relays: [
      {
        slot: following.slot,
        stop: { code: 'POISON_ROW', message: 'sources (id 7)', hint: 'ops relay --quarantine' },
        progress: { end_lsn: following.before, epoch: lease.epoch },
        quarantined: 1,
      },
    ],
  })
  const metrics = await ask(`${url}/metrics`, { key })
  t.match(metrics.headers.get('content-type'), /text\/plain/)
  t.match(metrics.body['text'], /homeport_gateway_lag_seconds \d/)
  t.match(metrics.body['text'], /homeport_gateway_refused_total\{reason="wrong secret|unknown"\}/)
  t.equal((await ask(`${url}/metrics`)).status, 401)
})
