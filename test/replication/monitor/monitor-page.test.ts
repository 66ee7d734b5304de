import { mkdirSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { MonitorHistory } from '../../../replication/monitor/history.ts'
import type { MonitorState } from '../../../replication/monitor/monitor-metrics.ts'
import { startMonitorServer } from '../../../replication/monitor/monitor-server.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { openBrowser } from '../../support/browser.ts'
import { addDay, openOnes, pastOnes } from './page-data.ts'
import { driftAlert, quietSample } from './sample-data.ts'

const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script> & <b>bold</b>`

/** Pictures for a person to look at, where SCREENSHOTS names a folder. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['SCREENSHOTS']
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: `${folder}/monitor-${name}.png`, fullPage: true })
}

async function openPage(t: Test, browser: Browser, options: Parameters<Browser['newPage']>[0] = {}) {
  const page = await browser.newPage(options)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  t.teardown(() => page.close())
  return { page, complaints }
}

/** How many points of each chart have the colour of its line, counted in the canvas itself. */
async function paint(page: Page): Promise<number[]> {
  return page.evaluate<number[]>(`
    [...document.querySelectorAll('#charts canvas')].map((canvas) => {
      const context = canvas.getContext('2d')
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height)
      const accent = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()
      const line = [1, 3, 5].map((place) => parseInt(accent.slice(place, place + 2), 16))
      let drawn = 0
      for (let place = 0; place < data.length; place += 4) {
        const isLine = line.every((value, channel) => Math.abs(data[place + channel] - value) < 24)
        if (isLine && data[place + 3] > 200) drawn += 1
      }
      return drawn
    })`)
}

const scrollWidth = (page: Page): Promise<number> =>
  page.evaluate<number>('document.documentElement.scrollWidth')

void t.test('the page of the monitor', { timeout: 120_000 }, async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const now = new Date()
  const history = await MonitorHistory.open({ folder: temporaryFolder(t) })
  const empty: MonitorState = { sample: null, alerts: [], since: now.toISOString() }
  let current = empty
  const server = await startMonitorServer({ port: 0, history, current: () => current })
  t.teardown(() => server.close())
  const wide = { viewport: { width: 1280, height: 900 }, timezoneId: 'Asia/Tokyo', locale: 'en-GB' }
  const { page, complaints } = await openPage(t, browser, wide)
  // The next refresh comes when a test wants it.
  await page.clock.install()
  const later = (): Promise<void> => page.clock.fastForward(6_000)

  await t.test('before the first look', async (t) => {
    await page.goto(server.url)
    await page.locator('#state', { hasText: 'No look yet' }).waitFor()
    t.equal(await page.textContent('#alerts'), 'None.')
    t.match(await page.textContent('#proofs'), 'Nothing was compared yet')
    t.match(await page.textContent('#charts'), /nothing is known of that time/)
    t.strictSame(await paint(page), [0, 0, 0], 'no line')
    await picture(page, 'empty')
  })

  const sample = await addDay(history, now)
  for (const alert of [...openOnes(now), ...pastOnes(now)]) await history.addAlert(alert)
  current = {
    sample: { ...sample, at: new Date().toISOString() },
    alerts: openOnes(now),
    since: now.toISOString(),
  }

  await t.test('a day, and what is open', async (t) => {
    await page.goto(server.url)
    await page.locator('#state.error', { hasText: '1 problem, 1 warning' }).waitFor()
    t.match(await page.title(), /^1 problem, 1 warning/)
    const alert = page.locator('#alerts li.error')
    t.match(await alert.textContent(), /✗ Error · cloud · DRIFT · segments.*3 rows of segments differ/)
    t.equal(await alert.locator('.fix code').textContent(), 'ops repair segments', 'the command to run')
    t.match(await alert.locator('.since').textContent(), /since .*\(1[23] min ago\)/)
    const inTokyo = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone: 'Asia/Tokyo' })
    t.match(
      await alert.locator('time').textContent(),
      inTokyo.format(new Date(now.getTime() - 12 * 60_000)),
      "times are the viewer's",
    )
    t.match(await page.locator('#alerts li.warning .fix').textContent(), /To do: bring the cloud back/)
    t.match(await page.locator('#past li').allTextContents(), [
      /nothing listens there.*CLOUD_UNREACHABLE.*60 min$/,
      /41 s behind/,
    ])

    t.equal(await page.locator('#charts canvas').count(), 3)
    for (const drawn of await paint(page)) t.ok(drawn > 100, `${drawn} points of a line`)
    const notes = await page.locator('#charts figcaption').allTextContents()
    t.match(notes, [
      /^Lag ?now .* · peak 59 min$/,
      /^Log held by the slot ?now .* · peak 506\.4 MB · limit 953\.7 MB$/,
      /^Log written by the primary ?now .*\/s · peak /,
    ])
    const proofs = await page.locator('#proofs tbody tr').allTextContents()
    t.equal(proofs.length, 7)
    t.match(proofs[2], /^segments✗ drift52,920[23] min ago5 h ago$/)
    t.match(proofs[5], /^model_terms\? undetermined.*never$/)
    t.equal(await page.getAttribute('#proofs .verdict.drift', 'class'), 'verdict drift')
    t.match(
      await page.textContent('#facts'),
      /Behind.*Log held.*of 953\.7 MB, read now.*Vectors found99\.2 %/,
    )
    t.notOk(await page.isVisible('#trouble'))
    await page.evaluate(`getSelection().selectAllChildren(document.querySelector('#alerts .fix code'))`)
    const answered = page.waitForResponse(/data\.json/)
    await later()
    await answered
    await page.locator('#looked', { hasText: /looked/ }).waitFor()
    t.equal(
      await page.evaluate('getSelection().toString()'),
      'ops repair segments',
      'a refresh leaves alone what is being copied',
    )
    t.equal(await scrollWidth(page), 1280)
    await picture(page, 'light')
  })

  await t.test('another time, kept in the address', async (t) => {
    await page.click('button[data-hours="1"]')
    await page.locator('#charts', { hasText: 'peak 1.3 s' }).waitFor()
    t.equal(new URL(page.url()).searchParams.get('hours'), '1')
    t.equal(await page.getAttribute('button[aria-pressed="true"]', 'data-hours'), '1')
    await page.reload()
    await page.locator('#charts', { hasText: 'peak 1.3 s' }).waitFor()
    t.equal(await page.getAttribute('button[aria-pressed="true"]', 'data-hours'), '1')
    await picture(page, 'hour')
  })

  await t.test('what a message or a name says stays text', async (t) => {
    const table = `<i>${hostile}</i>`
    const evil = driftAlert(now, { table, message: hostile, fix: `ops reseed ${hostile}`, code: hostile })
    await history.addAlert({ ...evil, id: 'past', until: now.toISOString() })
    current = {
      ...current,
      alerts: [evil],
      sample: quietSample(new Date(), {
        tables: [{ table, verdict: hostile as 'match', rows: 1, checkedAt: now.toISOString(), fullAt: null }],
        forecast: { seconds: 60, what: hostile },
      }),
    }
    await page.goto(server.url)
    await page.locator('#alerts', { hasText: 'bold' }).waitFor()
    t.equal(await page.textContent('#alerts .fix'), `To do: ops reseed ${hostile}`, 'word for word')
    t.match(await page.textContent('#proofs'), hostile)
    t.match(await page.textContent('#past'), hostile)
    t.equal(await page.locator('main img, main script, main i, main li b').count(), 0)
    t.not(await page.title(), 'owned')
    await picture(page, 'hostile')
  })

  await t.test('on a phone, in the dark', async (t) => {
    current = {
      sample: { ...sample, at: new Date().toISOString() },
      alerts: openOnes(now),
      since: current.since,
    }
    const phone = await openPage(t, browser, { viewport: { width: 390, height: 780 }, colorScheme: 'dark' })
    await phone.page.goto(server.url)
    await phone.page.locator('#proofs', { hasText: 'drift' }).waitFor()
    t.equal(await scrollWidth(phone.page), 390, 'nothing is wider than the screen')
    for (const drawn of await paint(phone.page)) t.ok(drawn > 100, `${drawn} points of a line`)
    await picture(phone.page, 'phone-dark')
    await phone.page.setViewportSize({ width: 320, height: 600 })
    await until(
      () => scrollWidth(phone.page),
      (width) => width <= 320,
    )
    t.same(phone.complaints, [])
  })

  await t.test('all is well; then a look that is old', async (t) => {
    current = { sample: quietSample(new Date()), alerts: [], since: current.since }
    await page.goto(server.url)
    await page.locator('#state.good', { hasText: 'All is well' }).waitFor()
    t.notOk(await page.isVisible('#trouble'))
    current = { ...current, sample: quietSample(new Date(Date.now() - 300_000)) }
    await later()
    await page.locator('#trouble', { hasText: /The last look is 5 min old/ }).waitFor()
    t.equal(await page.getAttribute('#trouble', 'role'), 'alert')
  })

  t.same(complaints, [], 'no error in the console, no breach of the content security policy')

  await t.test('a monitor that does not answer, and does again', async (t) => {
    current = { ...current, sample: quietSample(new Date()) }
    await page.route('**/data.json**', (route) => route.abort())
    await later()
    await page.locator('#trouble', { hasText: 'does not answer: is ops monitor running?' }).waitFor()
    t.equal(await page.textContent('#state'), 'No answer')
    t.match(await page.textContent('#trouble'), /What is shown is of \d\d:\d\d:\d\d/)
    t.ok((await page.locator('#proofs tbody tr').count()) > 0, 'what was known is still shown')
    await picture(page, 'silent')
    await page.unroute('**/data.json**')
    await later()
    await page.locator('#state.good').waitFor()
    t.notOk(await page.isVisible('#trouble'))
  })
})
