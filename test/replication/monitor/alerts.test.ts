import t from 'tap'
import type { Finding } from '../../../replication/finding.ts'
import {
  alertId,
  raisedAlerts,
  restoreAlerts,
  stepAlerts,
  type AlertState,
  type Seen,
  type Source,
} from '../../../replication/monitor/alerts.ts'

const finding = (code: string, severity: Finding['severity'] = 'error', table?: string): Finding => ({
  code,
  side: 'cloud',
  severity,
  message: `${code} ${severity}`,
  fix: 'do it',
  ...(table === undefined ? {} : { table }),
})

const time = (second: number): string => new Date(second * 1000).toISOString()

/** Plays looks one second apart; what was told at each, as `raised DRIFT` or ''. */
function play(looks: readonly (readonly Seen[])[], from: AlertState = new Map()): string[] {
  let state = from
  return looks.map((seen, second) => {
    const step = stepAlerts(state, seen, time(second))
    state = step.state
    return step.changes.map(({ kind, alert }) => `${kind} ${alert.code}`).join(', ')
  })
}

const look = (...findings: Finding[]): Seen[] => [{ source: 'look', findings }]

t.test('what is certain is said at once, what may pass by itself after three looks in a row', async (t) => {
  const cases: [string, Source, string[]][] = [
    // seen four times, absent three times, seen once
    ['SLOT_LOST', 'look', ['raised', '', '', '', '', '', 'over', 'raised']],
    ['LAG', 'look', ['', '', 'raised', '', '', '', 'over', '']],
    ['SLOT_AT_RISK', 'home', ['raised', '', '', '', '', '', 'over', 'raised']],
    ['SLOT_HALF_FULL', 'home', ['', '', 'raised', '', '', '', 'over', '']],
    ['CLOUD_UNREACHABLE', 'reach', ['', '', 'raised', '', '', '', 'over', '']],
    ['DRIFT', 'content', ['raised', '', '', '', 'over', '', '', 'raised']],
    ['UNDETERMINED', 'content', ['', 'raised', '', '', 'over', '', '', '']],
    ['RECALL_LOW', 'recall', ['', '', 'raised', '', 'over', '', '', '']],
    ['TYPE_DIFFERS', 'servers', ['raised', '', '', '', 'over', '', '', 'raised']],
  ]
  for (const [code, source, wanted] of cases) {
    const there: Seen[] = [{ source, findings: [finding(code)] }]
    const gone: Seen[] = [{ source, findings: [] }]
    const told = play([there, there, there, there, gone, gone, gone, there])
    t.strictSame(
      told.map((text) => text.replace(` ${code}`, '')),
      wanted,
      code,
    )
  }
})

t.test('a forecast has to stay for half a minute, and to be gone for three', async (t) => {
  const soon: Seen[] = [{ source: 'home', findings: [finding('SLOT_ENDS_SOON')] }]
  const gone: Seen[] = [{ source: 'home', findings: [] }]
  const looks = (count: number, seen: Seen[]): Seen[][] => Array.from({ length: count }, () => seen)
  t.equal(play([...looks(5, soon), gone, ...looks(5, soon)]).join(''), '', 'a burst is none')
  const told = play([...looks(6, soon), ...looks(35, gone), soon, ...looks(36, gone)])
  t.strictSame(
    told.flatMap((text, place) => (text === '' ? [] : [`${place} ${text}`])),
    ['5 raised SLOT_ENDS_SOON', '77 over SLOT_ENDS_SOON'],
  )
})

t.test('flapping is not said: neither what comes and goes, nor what goes and comes', async (t) => {
  const lag = look(finding('LAG', 'warning'))
  const none = look()
  t.strictSame(play([lag, lag, none, lag, lag, none, lag, lag]).join(''), '')
  t.strictSame(
    play([lag, lag, lag, none, none, lag, none, none, lag]).filter((text) => text !== ''),
    ['raised LAG'],
  )
})

t.test('a warning that becomes an error is said once more, and not again when it trembles', async (t) => {
  const warning = look(finding('DISK', 'warning'))
  const error = look(finding('DISK', 'error'))
  t.strictSame(play([warning, warning, error, warning, error, warning]), [
    'raised DISK',
    '',
    'worse DISK',
    '',
    '',
    '',
  ])
  const soon = (severity: Finding['severity']) => look(finding('SLOT_ENDS_SOON', severity))
  const [w, e] = [soon('warning'), soon('error')]
  const six = (look: Seen[]): Seen[][] => Array.from({ length: 6 }, () => look)
  t.strictSame(
    play([...six(w), e, e, w, ...six(e)]).filter((text) => text !== ''),
    ['raised SLOT_ENDS_SOON', 'worse SLOT_ENDS_SOON'],
  )
})

t.test('nothing is over, or raised, while whoever sees it has not looked', async (t) => {
  const drift: Seen[] = [{ source: 'content', findings: [finding('DRIFT', 'error', 'sources')] }]
  const other: Seen[] = [{ source: 'look', findings: [] }]
  t.strictSame(play([drift, other, other, other, other, [{ source: 'content', findings: [] }]]), [
    'raised DRIFT',
    '',
    '',
    '',
    '',
    'over DRIFT',
  ])
  const silent: Seen[] = [{ source: 'reach', findings: [finding('CLOUD_UNREACHABLE')] }]
  const disabled = [...look(finding('SUBSCRIPTION_DISABLED')), { source: 'reach', findings: [] } as Seen]
  t.strictSame(
    play([disabled, silent, silent, silent, silent, disabled]).filter((text) => text !== ''),
    ['raised SUBSCRIPTION_DISABLED', 'raised CLOUD_UNREACHABLE'],
    'what cannot be seen in an outage is not over by it',
  )
})

t.test('since is the first look, until the last; the message is the newest', async (t) => {
  const lag = (seconds: number): Seen[] => look({ ...finding('LAG'), message: `${seconds} s` })
  let state: AlertState = new Map()
  for (const second of [0, 1, 2, 3]) state = stepAlerts(state, lag(second), time(second)).state
  const [alert] = raisedAlerts(state)
  t.match(alert, { since: time(0), until: null, message: '3 s', table: null, id: 'look/LAG/cloud' })
  for (const second of [4, 5]) state = stepAlerts(state, look(), time(second)).state
  t.match(stepAlerts(state, look(), time(6)).changes, [
    { kind: 'over', alert: { since: time(0), until: time(6) } },
  ])
})

t.test('two findings of one kind are one alert with both messages and the worse severity', async (t) => {
  const { state, changes } = stepAlerts(
    new Map(),
    look(finding('SLOT_LOST', 'warning'), { ...finding('SLOT_LOST'), message: 'and this' }),
    time(0),
  )
  t.equal(changes.length, 1)
  t.match(raisedAlerts(state), [{ severity: 'error', message: 'SLOT_LOST warning; and this' }])
  const tables = stepAlerts(
    new Map(),
    look(finding('DRIFT', 'error', 'a'), finding('DRIFT', 'error', 'b')),
    time(0),
  )
  t.equal(tables.changes.length, 2, 'one a table')
})

t.test('a restart says nothing again, and ends what is over', async (t) => {
  const drift = finding('DRIFT', 'error', 'sources')
  const content = (...findings: Finding[]): Seen[] => [{ source: 'content', findings }]
  const before = stepAlerts(new Map(), content(drift), time(0))
  const restored = restoreAlerts(raisedAlerts(before.state))
  t.equal(raisedAlerts(restored)[0]?.id, alertId('content', drift))
  t.strictSame(play([look(), look(), look(), content(drift), content()], restored), [
    '',
    '',
    '',
    '',
    'over DRIFT',
  ])
})
