import { fork } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MonitorHistory } from '../../../replication/monitor/history.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { driftAlert, quietSample } from './sample-data.ts'

const now = Date.now()
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const ago = (ms: number): Date => new Date(now - ms)
const everything = { sinceMs: 0, atMost: 1e13 }

t.test('samples and alerts come back as they were', async (t) => {
  const folder = join(temporaryFolder(t), 'new', 'history')
  const history = await MonitorHistory.open({ folder })
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.strictSame(await history.samples({ sinceMs: 0, atMost: 10 }), [])
  const other = [{ ...quietSample(ago(0)).tables[0], verdict: 'drift' }] as ReturnType<
    typeof quietSample
  >['tables']
  const given = [
    quietSample(ago(3 * dayMs), { lag: { bytes: null, seconds: null }, slot: null, unreachable: ['cloud'] }),
    quietSample(ago(30_000), { tables: other }),
    quietSample(ago(20_000), { tables: other }),
    quietSample(ago(10_000), { tables: other, recall: null }),
    quietSample(ago(0), { tables: [] }),
  ]
  for (const sample of given) await history.addSample(sample)
  t.strictSame(await history.samples(everything), given)
  t.strictSame(await history.samples({ sinceMs: now - 20_000, atMost: 1_000 }), given.slice(2))

  const raised = driftAlert(ago(2 * dayMs))
  await history.addAlert(raised)
  await history.addAlert(driftAlert(ago(dayMs), { id: 'other', code: 'LAG' }))
  t.match(await history.openAlerts(), [{ code: 'DRIFT', until: null }, { code: 'LAG' }])
  const over = { ...raised, until: ago(hourMs).toISOString() }
  await history.addAlert(over)
  t.match(await history.openAlerts(), [{ code: 'LAG' }])
  t.strictSame((await history.alerts({ sinceMs: now - 2 * hourMs }))[0], over)
  t.match(
    (await history.alerts({ sinceMs: now - hourMs / 2 })).map(({ code }) => code),
    ['LAG'],
    'it was over before',
  )
  const again = driftAlert(ago(0))
  await history.addAlert(again)
  t.equal((await history.alerts({ sinceMs: 0 })).length, 3, 'the same once more is another one')

  const clockWentBack = driftAlert(ago(hourMs), { id: 'back', until: ago(dayMs * 2).toISOString() })
  await history.addAlert({ ...clockWentBack, until: null })
  await history.addAlert(clockWentBack)
  t.notOk(
    (await history.openAlerts()).some(({ id }) => id === 'back'),
    'what is over stays over',
  )

  const later = await MonitorHistory.open({ folder })
  t.strictSame(await later.samples(everything), given, 'after a restart')
  t.match(await later.openAlerts(), [{ code: 'LAG' }, { code: 'DRIFT', since: again.since }])
  t.equal(later.unreadableLines, 0)
  for (const name of readdirSync(folder)) t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
})

t.test('a line that was cut off', async (t) => {
  const folder = temporaryFolder(t)
  const at = new Date(`${ago(0).toISOString().slice(0, 10)}T00:00:00Z`)
  const file = join(folder, `samples-${at.toISOString().slice(0, 10)}.jsonl`)
  const sample = (seconds: number) => quietSample(new Date(at.getTime() + seconds * 1000), { tables: [] })
  const before = await MonitorHistory.open({ folder })
  for (const seconds of [0, 1, 2]) await before.addSample(sample(seconds))
  truncateSync(file, statSync(file).size - 20)
  const after = await MonitorHistory.open({ folder })
  await after.addSample(sample(3))
  await after.addSample(sample(4))
  t.strictSame(await after.samples(everything), [0, 1, 3, 4].map(sample))
  t.equal(after.unreadableLines, 1)
  t.strictSame(await after.samples(everything), [0, 1, 3, 4].map(sample))
  t.equal(after.unreadableLines, 1, 'counted once, however often it is read')

  appendFileSync(file, '{"at":"never"}\n[]\nnull\n\u0000\u0000\n')
  await after.addSample(sample(5))
  t.equal((await after.samples(everything)).length, 4, 'which tables it had, nobody knows')
  await after.addSample({ ...sample(6), tables: quietSample(at).tables })
  t.equal((await after.samples(everything)).length, 5)
  t.equal(after.unreadableLines, 6)

  writeFileSync(join(folder, `alerts-${at.toISOString().slice(0, 10)}.jsonl`), '{"id":"x"}\n{"id"')
  await after.addAlert(driftAlert(at))
  t.match(await after.openAlerts(), [{ code: 'DRIFT' }])
  t.equal(after.unreadableLines, 8)
})

t.test('killed while it writes, again and again', async (t) => {
  const folder = temporaryFolder(t)
  const script = new URL('./history-writer.ts', import.meta.url)
  let least = 0
  for (let round = 0; round < 3; round += 1) {
    const fromMs = String(now - (5 - round) * hourMs)
    const child = fork(script, [folder, fromMs], { execArgv: ['--import', import.meta.resolve('tsx')] })
    const exited = once(child, 'exit')
    t.teardown(() => child.kill('SIGKILL'))
    let told = 0
    child.on('message', (count: number) => (told = count))
    await until(
      async () => told,
      (count) => count > 200,
    )
    child.kill('SIGKILL')
    await exited
    least += told
  }
  const history = await MonitorHistory.open({ folder })
  await history.addSample(quietSample(ago(0)))
  const found = await history.samples(everything)
  t.ok(found.length >= least + 1, `${found.length} of at least ${least} that were confirmed`)
  t.ok(history.unreadableLines <= 3, `${history.unreadableLines} cut off`)
})

t.test('thinned evenly, and no peak is lost', async (t) => {
  const history = await MonitorHistory.open({ folder: temporaryFolder(t) })
  const count = 500
  const peak = 321
  for (let place = 0; place < count; place += 1) {
    const lag = { bytes: 0, seconds: place === peak ? 90 : 0.2 }
    const walBytesPerSecond = place === 100 ? 9_000_000 : 2_000
    await history.addSample(
      quietSample(ago((count - place) * 10_000), { lag, walBytesPerSecond, tables: [] }),
    )
  }
  const sinceMs = now - count * 10_000
  const thin = await history.samples({ sinceMs, atMost: 50 })
  t.ok(thin.length <= 50 && thin.length >= 49, `${thin.length}`)
  for (const atMost of [50, 37, 11]) {
    const found = await history.samples({ sinceMs, atMost })
    const seconds = found.map(({ lag }) => lag.seconds ?? 0)
    const rates = found.map((sample) => sample.walBytesPerSecond ?? 0)
    t.equal(Math.max(...rates), 9_000_000, 'a burst of writing, though another look was worse')
    t.equal(Math.max(...seconds), 90, `the peak is one of ${seconds.length}`)
  }
  const times = thin.map(({ at }) => Date.parse(at))
  const steps = times.slice(1).map((time, place) => time - (times[place] ?? 0))
  t.ok(Math.min(...steps) > 0, 'in order')
  t.ok(Math.max(...steps) <= 2 * 110_000, `the longest step is ${Math.max(...steps)} ms`)
  t.equal((await history.samples({ sinceMs, atMost: 1 })).length, 1)
  t.equal((await history.samples({ sinceMs, atMost: 100_000 })).length, count)
})

t.test('pruned by age', async (t) => {
  const folder = temporaryFolder(t)
  const history = await MonitorHistory.open({ folder, keepDays: 10 })
  for (const days of [40, 12, 9, 0]) {
    await history.addSample(quietSample(ago(days * dayMs)))
    await history.addAlert(
      driftAlert(ago(days * dayMs), { id: `of ${days}`, until: ago(days * dayMs).toISOString() }),
    )
  }
  const lasting = driftAlert(ago(39 * dayMs), { id: 'lasting' })
  await history.addAlert(lasting)
  writeFileSync(join(folder, 'samples-2001-02-03.jsonl.bak'), 'not ours')
  t.equal(await history.prune(ago(0)), 5)
  t.equal((await history.samples(everything)).length, 2)
  t.strictSame(await history.openAlerts(), [lasting], 'what lasts is kept, with its beginning')
  t.strictSame(
    (await history.alerts({ sinceMs: 0 })).map(({ id }) => id),
    ['lasting', 'of 9', 'of 0'],
  )
  t.ok(readdirSync(folder).includes('samples-2001-02-03.jsonl.bak'))
  t.equal(await history.prune(ago(0)), 0, 'nothing more')
})

t.test('days before yesterday keep the worst look of each minute', async (t) => {
  const folder = temporaryFolder(t)
  const history = await MonitorHistory.open({ folder })
  const midnight = Date.parse(
    `${ago(4 * dayMs)
      .toISOString()
      .slice(0, 10)}T00:00:00Z`,
  )
  const seen = Array.from({ length: 200 }, (_, place) =>
    quietSample(new Date(midnight + place * 15_000), {
      lag: { bytes: 0, seconds: place === 77 ? 50 : 1 },
      unreachable: place === 90 ? ['cloud'] : [],
    }),
  )
  for (const sample of seen) await history.addSample(sample)
  const recent = [quietSample(ago(90_000)), quietSample(ago(85_000)), quietSample(ago(80_000))]
  for (const sample of recent) await history.addSample(sample)
  const worst = seen.filter(
    (_, place) => (place % 4 === 3 && ![79, 91].includes(place)) || [77, 90].includes(place),
  )
  for (const round of [1, 2]) {
    t.equal(await history.prune(ago(0)), 0, `nothing is lost, ${round}`)
    t.strictSame(await history.samples(everything), [...worst, ...recent])
  }
  const day = new Date(midnight).toISOString().slice(0, 10)
  const names = readdirSync(folder)
  t.ok(names.includes(`minutes-${day}.jsonl`) && !names.includes(`samples-${day}.jsonl`), names.join(' '))
  t.equal(statSync(join(folder, `minutes-${day}.jsonl`)).mode & 0o777, 0o600)

  // A clock that was wrong: one more of that day; and a kill before the first file was removed.
  await history.addSample(quietSample(new Date(midnight + 3 * hourMs)))
  await history.prune(ago(0))
  t.equal((await history.samples(everything)).length, worst.length + recent.length + 1)
  writeFileSync(join(folder, `samples-${day}.jsonl`), `${JSON.stringify(seen[0])}\n{"at`)
  await history.prune(ago(0))
  t.equal((await history.samples(everything)).length, worst.length + recent.length + 2)
  t.ok(readdirSync(folder).includes(`samples-${day}.jsonl`), 'damage is kept')
  t.equal(history.unreadableLines, 1)
  t.equal(await history.prune(ago(-40 * dayMs)), names.length + 1, 'and goes by its age')
  t.strictSame(readdirSync(folder), [])
  t.equal(history.unreadableLines, 0)
})

t.test('a disk that is full is told, and over when it is over', async (t) => {
  const folder = temporaryFolder(t)
  const today = ago(0)
  const file = join(folder, `samples-${today.toISOString().slice(0, 10)}.jsonl`)
  const history = await MonitorHistory.open({ folder })
  await history.addSample(quietSample(today))
  unlinkSync(file)
  symlinkSync('/dev/full', file)
  await t.rejects(history.addSample(quietSample(today)), {
    code: 'HISTORY_NOT_WRITTEN',
    message: /that disk is full/,
    hint: /MONITOR_STATE_PATH/,
  })
  await history.prune(today)
  unlinkSync(file)
  await history.addSample(quietSample(today))
  await history.addSample(quietSample(new Date(now + 1)))
  t.equal((await history.samples(everything)).length, 2, 'the tables are named anew')
  t.equal(readFileSync(file, 'utf8').split('"tables"').length, 2, 'and only once')

  writeFileSync(join(folder, 'plain'), '')
  await t.rejects(MonitorHistory.open({ folder: join(folder, 'plain', 'x') }), {
    code: 'HISTORY_NOT_WRITTEN',
    message: /a part of that path is a file/,
  })
})

t.test('a line without an end, a folder and a file of somebody else', async (t) => {
  const folder = temporaryFolder(t)
  const history = await MonitorHistory.open({ folder })
  const sample = quietSample(ago(0))
  await history.addSample(sample)
  await history.addAlert(driftAlert(ago(0)))
  const day = sample.at.slice(0, 10)
  const huge = 'x'.repeat(3_000_000)
  for (const kind of ['samples', 'alerts']) {
    appendFileSync(join(folder, `${kind}-${day}.jsonl`), `${huge}\n`)
    mkdirSync(join(folder, `${kind}-2020-01-01.jsonl`))
  }
  writeFileSync(join(folder, 'samples-notes.jsonl'), 'mine')
  await history.addSample(quietSample(ago(-1000)))
  await history.addAlert(driftAlert(ago(0), { id: 'after' }))
  appendFileSync(join(folder, `samples-${day}.jsonl`), huge)
  t.equal((await history.samples(everything)).length, 1, 'which tables the next had, nobody knows')
  t.equal((await history.openAlerts()).length, 2)
  t.equal(history.unreadableLines, 4)
  await history.prune(new Date(now))
  t.ok(statSync(join(folder, 'samples-2020-01-01.jsonl')).isDirectory(), 'what is not ours stays')
})
