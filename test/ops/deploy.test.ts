import { readFileSync } from 'node:fs'
import t from 'tap'
import { loadCommands } from '../../ops/commands/all.ts'
import { createMonitorMetrics } from '../../replication/monitor/monitor-metrics.ts'
import { createRelayMetrics } from '../../replication/relay/metrics.ts'
import { driftAlert, quietSample } from '../replication/monitor/sample-data.ts'
import { quietStatus } from '../replication/relay/sample-status.ts'
import { readPrometheusText } from '../support/prometheus-text.ts'

const read = (name: string): string =>
  readFileSync(new URL(`../../ops/deploy/${name}`, import.meta.url), 'utf8')

interface Rule {
  group: string
  alert: string
  expr: string
  for: string
  severity: string
  summary: string
  description: string
}

const plain = `(?![-?:,\\[\\]{}#&*!|>'"%@\`])(?:(?!: | #).)+`
const quoted = `'(?:[^']|'')*'`
const ruleText = [
  '      - alert: (?<alert>Homeport[A-Za-z]+)',
  `        expr: (?<expr>${plain})`,
  '        for: (?<for>\\d+[mhd])',
  '        labels:',
  '          severity: (?<severity>warning|critical)',
  '        annotations:',
  `          summary: (?<summary>${plain}|${quoted})`,
  `          description: (?<description>${plain}|${quoted})`,
].join('\n')

/** Reads the rules, in the one form in which they are written. @throws Error where the file has another. */
function readRules(text: string): Rule[] {
  const body = text.replace(/^(?:#.*\n)*groups:\n/, '')
  if (body === text) throw new Error('groups are missing')
  return body
    .split(/^ {2}- name: /m)
    .slice(1)
    .flatMap((group) => {
      const [head = '', rules, ...rest] = group.split('\n    rules:\n')
      if (!/^[a-z-]+$/.test(head) || rules === undefined || rest.length > 0) throw new Error(`group ${head}`)
      return rules
        .trimEnd()
        .split('\n\n')
        .map((rule): Rule => {
          const found = new RegExp(`^${ruleText}$`).exec(rule)?.groups
          if (found === undefined) throw new Error(`not in the form of a rule:\n${rule}`)
          return { group: head, ...(found as Omit<Rule, 'group'>) }
        })
    })
}

/** Every metric of the monitor and the relay, with the labels that it may have. */
async function knownMetrics(): Promise<Map<string, Set<string>>> {
  const at = new Date()
  const sample = quietSample(at, { forecast: { seconds: 1, what: 'x' } })
  const relay = createRelayMetrics()
  relay.onApplied({
    transport: 'direct',
    rows: [{ table: 'segments', operation: 'insert', count: 1 }],
    seconds: 1,
    conflicts: 0,
    quarantined: 0,
  })
  const slot = { name: 'x', retainedBytes: 1, usedShare: 0.1, secondsToCut: 60 }
  const lastError = { code: 'X', message: '', hint: null, at: '' }
  const texts = [
    await createMonitorMetrics().text({ sample, alerts: [driftAlert(at)], since: sample.at }),
    await relay.text({ ...quietStatus, slot, state: 'stopped', lastError }),
  ]
  const known = new Map<string, Set<string>>()
  for (const family of texts.flatMap((text) => [...readPrometheusText(text).values()])) {
    for (const key of family.samples.keys()) {
      const name = key.split('{')[0] ?? ''
      const labels = [...key.matchAll(/([a-z]+)="/g)].map((found) => found[1] ?? '')
      known.set(name, new Set([...(known.get(name) ?? []), ...labels]))
    }
  }
  return known
}

/** What an expression names that there is not: metrics, or labels of theirs. */
function unknownIn(expression: string, known: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  return [...expression.matchAll(/\b(homeport_\w+)(?:\{([^}]*)\})?/g)].flatMap(
    ([, name = '', matchers = '']) => {
      const labels = known.get(name)
      if (labels === undefined) return [name]
      const named = [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map((found) => found[1] ?? '')
      return named.filter((label) => !labels.has(label)).map((label) => `${name}{${label}}`)
    },
  )
}

t.test('alert rules', async (t) => {
  const rules = readRules(read('alert-rules.yml'))
  t.ok(rules.length > 10)
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length, 'no name twice')
  const known = await knownMetrics()
  const commands = (await loadCommands([])).map(({ name }) => name)
  for (const { alert, expr, summary, description } of rules) {
    t.match(expr, /\bhomeport_/, alert)
    t.strictSame(unknownIn(expr, known), [], alert)
    const called = [...description.matchAll(/"ops ([a-z-]+)/g)].map((found) => found[1] ?? '')
    t.ok(called.length > 0, `${alert} names a command`)
    t.strictSame(
      called.filter((name) => !commands.includes(name)),
      [],
      `${alert} names commands that there are`,
    )
    // What a rule's text takes from a sample has to be there.
    const labels = [...`${summary} ${description}`.matchAll(/\$labels\.(\w+)/g)].map(
      (found) => found[1] ?? '',
    )
    const metric = /\bhomeport_\w+/.exec(expr)?.[0] ?? ''
    for (const label of labels) t.ok(known.get(metric)?.has(label), `${alert}: ${label}`)
  }
})

interface Panel {
  id: number
  title: string
  type: string
  gridPos: { x: number; y: number; w: number; h: number }
  datasource?: { uid: string }
  targets?: { expr: string; datasource: { uid: string } }[]
}

interface Dashboard {
  uid: string
  title: string
  schemaVersion: number
  panels: Panel[]
  templating: { list: { name: string; type: string; query: string }[] }
}

t.test('dashboard', async (t) => {
  const dashboard = JSON.parse(read('grafana-dashboard.json')) as Dashboard
  t.match(dashboard, { uid: /.+/, title: 'Homeport', schemaVersion: Number })
  t.match(dashboard.templating.list, [{ name: 'datasource', type: 'datasource', query: 'prometheus' }])
  const known = await knownMetrics()
  const drawn = dashboard.panels.filter(({ type }) => type !== 'row')
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  for (const { title, targets = [], datasource } of drawn) {
    t.ok(targets.length > 0, title)
    t.equal(datasource?.uid, '${datasource}', title)
    for (const target of targets) {
      t.equal(target.datasource.uid, '${datasource}', title)
      t.strictSame(unknownIn(target.expr, known), [], title)
    }
  }
  const covers = (one: Panel, other: Panel): boolean =>
    one.gridPos.x < other.gridPos.x + other.gridPos.w &&
    other.gridPos.x < one.gridPos.x + one.gridPos.w &&
    one.gridPos.y < other.gridPos.y + other.gridPos.h &&
    other.gridPos.y < one.gridPos.y + one.gridPos.h
  for (const [place, one] of dashboard.panels.entries()) {
    t.ok(one.gridPos.x + one.gridPos.w <= 24, one.title)
    t.notOk(
      dashboard.panels.slice(place + 1).find((other) => covers(one, other)),
      `${one.title} covers none`,
    )
  }
  const shown = drawn.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join(' ')
  const missing = [...known.keys()].filter((name) => !shown.includes(name.replace(/_(sum|count)$/, '')))
  const others = ['slot_active', 'slot_used_ratio', 'slot_seconds_to_cut', 'stopped', 'transport']
  t.strictSame(
    missing.map((name) => name.replace(/^homeport_(?:relay_)?/, '')).sort(),
    others.sort(),
    'everything else is drawn',
  )
})

t.test('what does not fit is found', async (t) => {
  const known = await knownMetrics()
  t.strictSame(unknownIn('rate(homeport_relay_rowz_total[5m]) > homeport_slot_active{server="x"}', known), [
    'homeport_relay_rowz_total',
    'homeport_slot_active{server}',
  ])
  const text = read('alert-rules.yml')
  t.throws(() => readRules(text.replace('        for: 5m\n', '')), /not in the form/)
  t.throws(() => readRules(text.replace('expr: ', 'expr:')), /not in the form/)
  t.throws(() => readRules(text.replace(/description: [A-Z]/, 'description: a: b')), /not in the form/)
})
