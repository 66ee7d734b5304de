import t from 'tap'
import { judgeHealth, judgeTables } from '../../replication/health-verdicts.ts'
import { readHealth, secondsBehind, type ReplicationHealth } from '../../replication/health.ts'
import { beat, readHeartbeat, waitForCloud } from '../../replication/heartbeat.ts'
import { checkReplication } from '../../replication/monitor/check.ts'
import { pruneTombstones } from '../../replication/monitor/content-watch.ts'
import { runMonitor } from '../../replication/monitor/run.ts'
import type { MonitorEvent } from '../../replication/monitor/teller.ts'
import { createReplication, insertTalk, plant } from './support.ts'
import { soundSlot, soundSubscription } from './sound-facts.ts'

t.test('one look: sound, then drift, then a row that cannot be applied', async (t) => {
  const pair = await createReplication(t)
  await insertTalk(pair.primary, { id: 1 })
  const sound = await checkReplication(pair)
  t.equal(sound.ok, true)
  t.strictSame(
    sound.findings.filter((finding) => finding.code !== 'INDEX_MISSING'),
    [],
  )
  t.match(sound.findings, [{ code: 'INDEX_MISSING', fix: 'ops index' }], 'a model became active after setup')
  t.ok((sound.health.lag.seconds ?? -1) >= 0)
  t.equal(sound.health.slot?.name, pair.report.slot)
  t.equal((await checkReplication({ ...pair, limits: { maxLagSeconds: 60, maxLagBytes: 2 ** 40 } })).ok, true)

  await plant(pair.cloud, `update sources set title = 'x'`)
  const drifted = await checkReplication(pair)
  t.equal(drifted.ok, false)
  t.match(drifted.findings, [{ code: 'INDEX_MISSING' }, { code: 'DRIFT', message: /sources/ }])

  // A row that is there already stops the subscription at its key, at every attempt.
  await plant(pair.cloud, `insert into lexicon values (7, 1)`)
  await pair.primary.query('insert into lexicon values (7, 2)')
  const stopped = await checkReplication({ ...pair, limits: { maxLagSeconds: 0 }, fenceTimeoutMs: 2500 })
  t.equal(stopped.ok, false)
  const codes = stopped.findings.map((finding) => finding.code)
  t.ok(codes.includes('SUBSCRIPTION_FAILING'), codes.join())
  t.ok(codes.includes('LAG'), 'a beat that does not arrive is lag')
  const lexicon = stopped.tables.find((table) => table.table === 'lexicon')
  t.equal(lexicon?.verdict, 'undetermined', 'nothing is proven while the cloud does not follow')

  await plant(pair.cloud, `delete from lexicon; update sources set title = 'a talk'`)
  const healed = await checkReplication(pair)
  t.strictSame(
    healed.findings.map((finding) => finding.code),
    ['INDEX_MISSING'],
    'with the row out of its way it goes on by itself',
  )
})

t.test('a connection that breaks, as when the primary restarts, comes back by itself', async (t) => {
  const pair = await createReplication(t)
  for (let round = 1; round <= 2; round += 1) {
    await pair.primary.query(
      `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`,
      [pair.report.slot],
    )
    await insertTalk(pair.primary, { id: round })
    await t.resolves(waitForCloud({ ...pair, timeoutMs: 20_000 }))
  }
  t.equal((await readHealth(pair.primary, pair.cloud)).subscription?.enabled, true)
})

t.test('a beat that does not arrive in time is an error with a hint', async (t) => {
  const pair = await createReplication(t)
  await pair.cloud.query('alter subscription homeport disable')
  await t.rejects(waitForCloud({ ...pair, timeoutMs: 200 }), { code: 'CLOUD_BEHIND', hint: /ops status/ })
  const first = await beat(pair.primary)
  const second = await beat(pair.primary)
  t.equal(BigInt(second.beat), BigInt(first.beat) + 1n)
  t.match(await readHeartbeat(pair.primary), { beat: second.beat })
})

t.test('the monitor says what changes, beats, prunes, and ends at a signal', async (t) => {
  const pair = await createReplication(t)
  await pair.primary.query(
    `insert into tombstones (segment_id, deleted_at) values (1, now() - interval '8 days'), (2, now())`,
  )
  const events: MonitorEvent[] = []
  const stop = new AbortController()
  const until = (event: MonitorEvent['event'], message = /./): Promise<void> =>
    new Promise((resolve) => {
      const timer = setInterval(() => {
        if (!events.some((one) => one.event === event && message.test(one.message))) return
        clearInterval(timer)
        resolve()
      }, 20)
    })
  const running = runMonitor({
    ...pair,
    signal: stop.signal,
    // A row that is written faster than it can be compared would stay undetermined: the heartbeat.
    beatSeconds: 0.3,
    verifySeconds: 0.5,
    onEvent: (event) => events.push(event),
  })
  await until('pruned')
  await pair.cloud.query('alter subscription homeport disable')
  await until('problem')
  await pair.cloud.query('alter subscription homeport enable')
  await until('solved')
  await plant(pair.cloud, 'insert into lexicon values (5, 1)')
  await until('problem', /lexicon/)
  await plant(pair.cloud, 'insert into collection values (1, 1, 1)')
  await until('problem', /collection/)
  stop.abort()
  await running
  t.match(events.find((one) => one.event === 'verified')?.message, /11 of 11 tables match/)
  t.match(events.find((one) => one.event === 'problem')?.message, /subscription is switched off/)
  t.match(events.find((one) => one.event === 'pruned')?.message, /^1 tombstone/)
  t.equal(await pruneTombstones(pair.primary), 0)
  t.ok(Number((await readHeartbeat(pair.primary))?.beat) > 1)
})

t.test('what health means', async (t) => {
  const sound: ReplicationHealth = {
    subscription: { ...soundSubscription, tables: [{ table: 'sources', state: 'r', copiedRows: '0' }] },
    relay: null,
    workers: { applyPid: 1, receivedLsn: '0/1', silentSeconds: 0, applyErrors: 0, syncErrors: 0 },
    slot: { ...soundSlot, safeWalBytes: '1000', retainedBytes: '10', lagBytes: '5' },
    newApplyErrors: 0,
    otherSlots: [],
    lag: { bytes: 5, seconds: 2 },
    index: { model: 1, name: 'embeddings_model_1', present: true },
  }
  const codes = (change: Partial<ReplicationHealth>, limits = {}): string[] =>
    judgeHealth({ ...sound, ...change }, limits).map((finding) => `${finding.severity} ${finding.code}`)
  t.strictSame(codes({}), [])
  t.strictSame(codes({ subscription: null, slot: null }), ['error NO_SUBSCRIPTION'])
  t.strictSame(codes({ workers: null }), ['error SUBSCRIPTION_NOT_RUNNING'])
  t.strictSame(codes({ workers: null, newApplyErrors: 2 }), ['error SUBSCRIPTION_FAILING'])
  t.strictSame(codes({ newApplyErrors: 2 }), ['error SUBSCRIPTION_FAILING'], 'it runs again, and is behind')
  t.strictSame(codes({ newApplyErrors: 2, lag: { bytes: 5, seconds: 0 } }), [], 'it has caught up')
  t.strictSame(codes({ slot: null }), ['error SLOT_LOST'])
  const slot = (change: object) => ({ slot: sound.slot === null ? null : { ...sound.slot, ...change } })
  t.strictSame(codes(slot({ walStatus: 'lost' })), ['error SLOT_LOST'])
  t.strictSame(codes(slot({ walStatus: 'unreserved' })), ['error SLOT_AT_RISK'])
  t.strictSame(codes(slot({ retainedBytes: '1001' })), ['warning SLOT_HALF_FULL'])
  t.strictSame(codes(slot({ safeWalBytes: null, retainedBytes: '99999' })), [])
  t.strictSame(codes({}, { maxLagSeconds: 2 }), [])
  t.strictSame(codes({}, { maxLagSeconds: 1 }), ['error LAG'])
  t.strictSame(codes({ lag: { bytes: 5, seconds: null } }, { maxLagSeconds: 1 }), ['error LAG'])
  t.strictSame(codes({}, { maxLagBytes: 4 }), ['error LAG'])
  t.strictSame(codes({ index: { model: 1, name: 'embeddings_model_1', present: false } }), [
    'warning INDEX_MISSING',
  ])

  const at = (beatNumber: string, second: number, ageSeconds = 3) => ({
    beat: beatNumber,
    beatAt: new Date(second * 1000),
    ageSeconds,
  })
  t.equal(secondsBehind(at('5', 50), at('5', 50)), 0)
  t.equal(secondsBehind(at('5', 50), at('3', 40)), 13, 'ten between the beats, three since')
  t.equal(secondsBehind(at('5', 50), null), null)

  const table = {
    table: 'sources',
    primaryRows: 1,
    cloudRows: 1,
    differences: [],
    moreDifferences: false,
    reason: null,
    lsn: '0/1',
  }
  t.strictSame(
    judgeTables([
      { ...table, verdict: 'match' },
      { ...table, verdict: 'drift' },
      { ...table, verdict: 'undetermined' },
    ]).map((finding) => `${finding.severity} ${finding.code}`),
    ['error DRIFT', 'warning UNDETERMINED'],
  )
})
