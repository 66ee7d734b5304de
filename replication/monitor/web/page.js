// The monitor's page: asks /data.json again and again and builds what it shows from text nodes only, so that
// nothing in a message or the name of a table can become markup.
import { ago, bytes, duration, moment } from '/amounts.js'
import { Charts } from '/charts.js'

const refreshMs = 5_000
const daySeconds = 86_400
/** The longer the time, the more there is to read for it. */
const chartsEveryMs = (hours) => Math.max(refreshMs, hours * 600)

const byId = (id) => document.getElementById(id)
const [state, looked, trouble] = [byId('state'), byId('looked'), byId('trouble')]
const buttons = [...byId('ranges').querySelectorAll('button')]
const charts = new Charts(byId('charts'))

let hours = wantedHours()
let chartsAt = 0
let answeredAt = null
let running = null
let timer

for (const button of buttons) {
  button.addEventListener('click', () => {
    hours = Number(button.dataset.hours)
    const address = new URL(location.href)
    address.searchParams.set('hours', String(hours))
    history.replaceState(null, '', address)
    chartsAt = 0
    void refresh()
  })
}

function wantedHours() {
  const wanted = new URLSearchParams(location.search).get('hours')
  return Number(buttons.find((button) => button.dataset.hours === wanted)?.dataset.hours ?? 24)
}

/** Asks now, and from then on every few seconds; charts of a long time less often. */
async function refresh() {
  clearTimeout(timer)
  running?.abort()
  const request = new AbortController()
  running = request
  for (const button of buttons) {
    button.setAttribute('aria-pressed', String(Number(button.dataset.hours) === hours))
  }
  const wanted = Date.now() >= chartsAt ? hours : 0
  const late = setTimeout(() => request.abort('late'), 15_000)
  try {
    const response = await fetch(`/data.json?hours=${wanted}`, { signal: request.signal })
    if (!response.ok) throw new Error(`the monitor answers with status ${response.status}`)
    show(await response.json(), wanted)
  } catch {
    // A newer request has taken its place; or the monitor does not answer, which is shown.
    if (running !== request) return
    showSilence()
  } finally {
    clearTimeout(late)
    if (running === request) timer = setTimeout(() => void refresh(), refreshMs)
  }
}

function show(data, drawn) {
  const now = Date.parse(data.now)
  answeredAt = new Date().toISOString()
  showState(data, now)
  fill(
    'alerts',
    [...data.alerts].sort(errorsFirst).map((alert) => alertItem(alert, now)),
    'None.',
  )
  showFacts(data.current)
  showProofs(data.current?.tables ?? [], now)
  if (drawn === 0) return
  chartsAt = Date.now() + chartsEveryMs(drawn)
  const { current } = data
  const isShown = current === null || data.samples.at(-1)?.at === current.at
  charts.show(isShown ? data.samples : [...data.samples, current], now / 1000 - drawn * 3_600, now / 1000)
  fill('past', data.past.map(pastItem), 'Nothing in this time.')
  const lost = data.unreadableLines
  byId('foot').textContent = lost === 0 ? '' : `${lost} lines of the history cannot be read and are left out.`
}

function showState({ alerts, sampleAt, historyError, oldAfterSeconds }, now) {
  const errors = alerts.filter((alert) => alert.severity === 'error').length
  const warnings = alerts.length - errors
  const words = [...counted(errors, 'problem'), ...counted(warnings, 'warning')].join(', ')
  const isWell = sampleAt === null ? 'No look yet' : 'All is well'
  state.textContent = words === '' ? isWell : words
  state.className = errors > 0 ? 'error' : warnings > 0 ? 'warning' : sampleAt === null ? '' : 'good'
  document.title = `${words === '' ? isWell : words} · Homeport monitor`
  looked.textContent = sampleAt === null ? '' : `looked ${ago(sampleAt, now)}`
  const age = sampleAt === null ? 0 : (now - Date.parse(sampleAt)) / 1000
  const troubles = [
    ...(age > oldAfterSeconds
      ? [`The last look is ${duration(age)} old: the monitor hangs, or cannot look.`]
      : []),
    ...(historyError === null ? [] : [`The history cannot be read: ${historyError}`]),
  ]
  showTrouble(troubles.join(' '))
}

function showSilence() {
  const since = answeredAt === null ? '' : ` What is shown is of ${moment(answeredAt)}.`
  state.className = ''
  state.textContent = 'No answer'
  looked.textContent = ''
  document.title = 'No answer · Homeport monitor'
  showTrouble(`The monitor does not answer: is ops monitor running?${since}`)
}

/** Only what changes, so that it is not read out every few seconds. */
function showTrouble(text) {
  trouble.hidden = text === ''
  if (trouble.textContent !== text) trouble.textContent = text
}

function counted(count, word) {
  return count === 0 ? [] : [`${count} ${word}${count === 1 ? '' : 's'}`]
}

/** Of equal ones the oldest first, as they come. */
function errorsFirst(one, other) {
  return Number(other.severity === 'error') - Number(one.severity === 'error')
}

function alertItem(alert, now) {
  const { severity, code, side, table, message, fix, since } = alert
  const command = /^ops [\w -]+$/.test(fix) ? element('code', {}, fix) : fix
  return element(
    'li',
    { class: severity === 'error' ? 'error' : 'warning' },
    element(
      'p',
      {},
      element('span', { class: 'kind' }, `${severity === 'error' ? '✗ Error' : '! Warning'} · ${side}`),
      ` · ${[code, table].filter(Boolean).join(' · ')}`,
    ),
    element('p', {}, message),
    element('p', { class: 'fix' }, 'To do: ', command),
    element('p', { class: 'since' }, 'since ', time(since), ` (${ago(since, now)})`),
  )
}

function pastItem({ severity, code, side, table, message, since, until }) {
  const lasted = duration(Math.max(0, (Date.parse(until) - Date.parse(since)) / 1000))
  const what = [severity === 'error' ? 'Error' : 'Warning', side, code, table].filter(Boolean).join(' · ')
  return element(
    'li',
    {},
    element('p', {}, message),
    element('p', { class: 'since' }, `${what} · `, time(since), ' to ', time(until), `, ${lasted}`),
  )
}

function showFacts(sample) {
  const facts = sample === null ? [] : factsOf(sample)
  byId('facts').replaceChildren(
    ...facts.map(([name, value, more, isBad]) =>
      element(
        'div',
        {},
        element('dt', {}, name),
        element('dd', isBad ? { class: 'bad' } : {}, value),
        ...(more ? [element('dd', { class: 'more' }, more)] : []),
      ),
    ),
  )
}

/** Name, value, more about it, and whether it is bad. */
function factsOf({ lag, slot, forecast, disk, walBytesPerSecond, recall, mode, unreachable }) {
  const isHomeAway = unreachable.includes('primary')
  const known = (value, write) => (value === null ? 'unknown' : write(value))
  const limit = slot === null || slot.safeWalBytes === null ? null : slot.retainedBytes + slot.safeWalBytes
  return [
    [
      'Servers',
      unreachable.length === 0 ? 'both up' : `${unreachable.join(', ')} away`,
      mode ?? '',
      unreachable.length > 0,
    ],
    ['Behind', known(lag.seconds, duration), known(lag.bytes, (value) => `${bytes(value)} not confirmed`)],
    [
      'Log held',
      slot === null ? (isHomeAway ? 'unknown' : 'no slot') : bytes(slot.retainedBytes),
      limit === null ? withoutLimit(slot) : `of ${bytes(limit)}, ${slot.active ? 'read' : 'not read'} now`,
      slot === null ? !isHomeAway : slot.walStatus === 'lost',
    ],
    [
      'Until it ends',
      forecast === null ? 'not in sight' : duration(forecast.seconds),
      forecast?.what ?? '',
      forecast !== null && forecast.seconds < daySeconds,
    ],
    ['Log written', known(walBytesPerSecond, (value) => `${bytes(value)}/s`), 'by the primary'],
    [
      'Disk at home',
      disk === null ? 'unknown' : bytes(disk.freeBytes),
      disk === null ? '' : `free of ${bytes(disk.totalBytes)}`,
    ],
    [
      'Vectors found',
      recall === null ? 'not measured' : `${(recall.recallAt10 * 100).toFixed(1)} %`,
      recall === null ? '' : `of the nearest ten, model ${recall.model}`,
    ],
  ]
}

function withoutLimit(slot) {
  if (slot === null) return ''
  return slot.walStatus === 'lost' ? 'lost' : 'and no limit is set'
}

const marks = { match: '✓ match', drift: '✗ drift', undetermined: '? undetermined' }

function showProofs(tables, now) {
  const rows = tables.map(({ table, verdict, rows, checkedAt, fullAt }) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, table),
      element('td', { class: `verdict ${verdict in marks ? verdict : ''}` }, marks[verdict] ?? verdict),
      element('td', { class: 'number', 'data-label': 'rows' }, new Intl.NumberFormat().format(rows)),
      element('td', { 'data-label': 'compared' }, time(checkedAt, ago(checkedAt, now))),
      element('td', { 'data-label': 'in full' }, fullAt === null ? 'never' : time(fullAt, ago(fullAt, now))),
    ),
  )
  const none = element('tr', {}, element('td', { colspan: '5', class: 'none' }, 'Nothing was compared yet.'))
  byId('proofs').tBodies[0].replaceChildren(...(rows.length === 0 ? [none] : rows))
}

function fill(id, items, none) {
  replaceChanged(byId(id), items.length === 0 ? [element('li', { class: 'none' }, none)] : items)
}

/** What has not changed stays, so that a command which somebody is about to copy does not vanish. */
function replaceChanged(parent, items) {
  const old = [...parent.children]
  if (old.length !== items.length) return parent.replaceChildren(...items)
  items.forEach((item, place) => {
    if (!item.isEqualNode(old[place])) old[place].replaceWith(item)
  })
}

function time(iso, text = moment(iso)) {
  return element('time', { datetime: iso, title: new Date(iso).toLocaleString() }, text)
}

function element(name, attributes, ...children) {
  const node = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  node.append(...children)
  return node
}

void refresh()
