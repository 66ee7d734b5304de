// The search page: asks /search and builds what it shows from text nodes only, so that nothing in a
// transcript can become markup.

const pageSize = 10
/** Characters of a segment shown before and after its best passage. */
const lead = 90
const reach = 420
/** A passage is cut between words where one ends within so many characters. */
const near = 40
/** Content this far behind home is shown as late, as /health warns of it. */
const lateSeconds = 300

const form = document.getElementById('search')
const box = document.getElementById('q')
const freshness = document.getElementById('freshness')
const message = document.getElementById('message')
const list = document.getElementById('hits')
const more = document.getElementById('more')
const intro = document.getElementById('intro')
const count = document.getElementById('count')

let running = null
let shown = 0
let current = ''

form.addEventListener('submit', (event) => {
  event.preventDefault()
  const query = box.value.trim()
  if (query === '') return
  const address = new URL(location.href)
  address.searchParams.set('q', query)
  if (address.href !== location.href) history.pushState(null, '', address)
  box.blur()
  void ask(query)
})

window.addEventListener('popstate', () => void showAddress())
more.addEventListener('click', () => void ask(current, shown))

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  const typing = document.activeElement === box
  if (event.key === '/' && !typing) {
    event.preventDefault()
    box.focus()
    box.select()
  } else if (event.key === 'Escape' && typing) {
    box.blur()
  } else if (
    (event.key === 'ArrowDown' || event.key === 'ArrowUp') &&
    moveFocus(event.key === 'ArrowDown' ? 1 : -1)
  ) {
    event.preventDefault()
  }
})

/** Moves between the box and the results' links. False where there is nothing to move to. */
function moveFocus(step) {
  const stops = [box, ...list.querySelectorAll('h2 a')]
  const at = stops.indexOf(document.activeElement)
  const next = at < 0 ? undefined : stops[at + step]
  next?.focus()
  return next !== undefined
}

async function showAddress() {
  const query = new URLSearchParams(location.search).get('q')?.trim() ?? ''
  box.value = query
  intro.hidden = query !== ''
  if (query !== '') return ask(query)
  running?.abort()
  clear()
  intro.hidden = false
  document.title = 'Homeport'
  return showHealth()
}

/** Asks for a page of hits; from the second page on they are added. */
async function ask(query, offset = 0) {
  running?.abort()
  const request = new AbortController()
  running = request
  document.body.classList.add('busy')
  try {
    const parameters = new URLSearchParams({ q: query, limit: String(pageSize), offset: String(offset) })
    const response = await fetch(`/search?${parameters}`, { signal: request.signal })
    const answer = await response.json()
    if (!response.ok) throw new Refusal(answer, response.headers.get('retry-after'))
    current = query
    show(answer, offset)
  } catch (error) {
    if (request.signal.aborted) return
    if (offset === 0) clear()
    showMessage(...explain(error), 'error')
  } finally {
    if (running === request) {
      running = null
      document.body.classList.remove('busy')
    }
  }
}

class Refusal extends Error {
  constructor(problem, retryAfter) {
    super(typeof problem.detail === 'string' ? problem.detail : 'the search failed')
    this.status = problem.status
    this.retryAfter = retryAfter
  }
}

function explain(error) {
  if (!(error instanceof Refusal))
    return ['No connection.', 'The server could not be reached. Try again in a moment.']
  if (error.status === 429)
    return [
      'One moment, please.',
      `Too many searches at once. Try again in ${error.retryAfter ?? 'a few'} seconds.`,
    ]
  if (error.status === 503)
    return [
      'Search is not available right now.',
      'Neither the database nor the copy in memory can answer. Try again in a moment.',
    ]
  return ['This search did not work.', sentence(error.message)]
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

function clear() {
  list.replaceChildren()
  message.hidden = true
  more.hidden = true
  intro.hidden = true
  count.textContent = ''
  freshness.replaceChildren()
  freshness.className = ''
  shown = 0
}

function show(answer, offset) {
  if (offset === 0) clear()
  message.hidden = true
  document.title = `${answer.query} · Homeport`
  const { lagSeconds, verified } = answer.freshness
  freshness.className = look(answer.source, lagSeconds, verified?.verdict)
  freshness.textContent = describe(answer)
  list.append(...answer.hits.map(hitElement))
  const first = offset > 0 ? list.children[offset]?.querySelector('a') : null
  first?.focus()
  shown = offset + answer.hits.length
  if (shown > 0) count.textContent = `${shown} result${shown === 1 ? '' : 's'}`
  more.hidden = answer.hits.length < pageSize || shown >= answer.total
  if (shown === 0) showMessage('Nothing found.', 'Try other words, or fewer of them.', 'empty')
}

function showMessage(title, text, kind) {
  message.className = kind
  message.replaceChildren(element('strong', {}, title), ' ', text)
  message.hidden = false
}

/** The classes of the freshness line, which colour its dot. */
function look(source, lagSeconds, verdict = '') {
  return [source ?? 'none', lagSeconds > lateSeconds ? 'late' : '', verdict].filter(Boolean).join(' ')
}

/** "Answered from Postgres in 12 ms · 3 s behind home · verified 2 minutes ago: match" */
function describe({ source, tookMs, freshness: { lagSeconds, verified } }) {
  return [
    `Answered from ${source === 'memory' ? 'memory' : 'Postgres'} in ${Math.max(1, Math.round(tookMs))} ms`,
    lagSeconds === null ? 'age unknown' : `${duration(lagSeconds)} behind home`,
    verification(verified),
  ].join(' · ')
}

function verification(verified) {
  if (verified === null) return 'not verified yet'
  const ago = Math.max(0, (Date.now() - Date.parse(verified.at)) / 1000)
  return `verified ${longDuration(ago)} ago: ${verified.verdict}${fullProof(verified)}`
}

/** A proof may rest on what changed since the last one that looked at every row: then that one is named too. */
function fullProof({ at, fullAt, full_at = fullAt }) {
  if (!full_at) return ''
  const before = (Date.parse(at) - Date.parse(full_at)) / 1000
  if (!(before > 60)) return ''
  return `, every row ${longDuration((Date.now() - Date.parse(full_at)) / 1000)} ago`
}

async function showHealth() {
  const response = await fetch('/health').catch(() => null)
  const health = await response?.json().catch(() => null)
  if (!health || document.body.classList.contains('busy') || shown > 0) return
  if (typeof health.total_segments !== 'number') return
  freshness.className = look(health.source, health.lag_seconds, health.last_verified?.verdict)
  freshness.textContent = [
    `${new Intl.NumberFormat('en').format(health.total_segments)} moments to search`,
    health.lag_seconds === null ? 'age unknown' : `${duration(health.lag_seconds)} behind home`,
    verification(health.last_verified),
  ].join(' · ')
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`
  return longDuration(seconds)
}

function longDuration(seconds) {
  const units = [
    [86_400, 'day'],
    [3_600, 'hour'],
    [60, 'minute'],
    [1, 'second'],
  ]
  const [size, name] = units.find(([size]) => seconds >= size) ?? [1, 'second']
  const count = Math.round(seconds / size)
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

function hitElement(hit) {
  const time = hit.momentMs ?? hit.startMs
  const stamp = time === null ? [] : [element('span', { class: 'time' }, clock(time)), ' ']
  const heading = [...stamp, element('span', { class: 'title', dir: 'auto' }, hit.title)]
  const facts = [hit.source.channel, published(hit.source.publishedAt), hit.chapter].filter(Boolean)
  return element(
    'li',
    {},
    element('h2', {}, ...(hit.link === null ? heading : [linked(hit.link, ...heading)])),
    ...(facts.length > 0 ? [element('p', { class: 'facts', dir: 'auto' }, facts.join(' · '))] : []),
    ...passage(hit),
  )
}

function linked(link, ...children) {
  return element('a', { href: link, rel: 'noopener noreferrer', target: '_blank' }, ...children)
}

/** The best passage, a paragraph a speaker. */
function passage(hit) {
  const { text, highlights } = hit
  const [from, to] = passageRange(hit)
  const turns = hit.turns.length > 0 ? hit.turns : [{ speaker: hit.speaker, offset: 0 }]
  const paragraphs = []
  turns.forEach((turn, at) => {
    const start = Math.max(from, turn.offset)
    const end = Math.min(to, turns[at + 1]?.offset ?? text.length)
    if (start >= end || text.slice(start, end).trim() === '') return
    const before = start === from && from > 0 ? ['… '] : []
    const after = end === to && to < text.length ? [' …'] : []
    const speaker =
      turn.speaker === null ? [] : [element('b', { class: 'speaker', dir: 'auto' }, turn.speaker), ' ']
    paragraphs.push(
      element(
        'p',
        { class: 'said', dir: 'auto' },
        ...speaker,
        ...before,
        ...marked(text, highlights, start, end),
        ...after,
      ),
    )
  })
  return paragraphs
}

/** A part of the text around the densest highlights, cut between words. */
function passageRange({ text, highlights }) {
  if (text.length <= lead + reach) return [0, text.length]
  let start = 0
  let most = -1
  for (const [at] of highlights) {
    const within = highlights.filter(([other]) => other >= at && other < at + reach - lead).length
    if (within > most) [most, start] = [within, at]
  }
  const from = Math.max(0, Math.min(start - lead, text.length - reach))
  const to = from + reach
  return [from > 0 ? cutAfter(text, from) : 0, to < text.length ? cutBefore(text, to) : text.length]
}

/** The next start of a word; at once where none is near, as in scripts without spaces. */
function cutAfter(text, at) {
  const blank = text.slice(at, at + near).search(/\s/)
  if (blank >= 0) return at + blank + 1
  return isInsideCharacter(text, at) ? at + 1 : at
}

/** The last end of a word; at once where none is near. */
function cutBefore(text, at) {
  const blank = /\s\S*$/.exec(text.slice(at - near, at + 1))
  if (blank !== null) return at - near + blank.index
  return isInsideCharacter(text, at) ? at - 1 : at
}

function isInsideCharacter(text, at) {
  return /[\udc00-\udfff]/.test(text.charAt(at))
}

/** Text between two offsets as text nodes, and <mark> around what is highlighted. */
function marked(text, highlights, from, to) {
  const nodes = []
  let at = from
  for (const [start, end] of highlights) {
    if (start < at || end > to) continue
    if (start > at) nodes.push(text.slice(at, start))
    nodes.push(element('mark', {}, text.slice(start, end)))
    at = end
  }
  if (at < to) nodes.push(text.slice(at, to))
  return nodes
}

function clock(ms) {
  const seconds = Math.floor(ms / 1000)
  const two = (value) => String(value).padStart(2, '0')
  const hours = Math.floor(seconds / 3600)
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}

function published(date) {
  if (date === null) return ''
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' }).format(Date.parse(date))
}

function element(name, attributes, ...children) {
  const node = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  node.append(...children)
  return node
}

void showAddress()
