import { mkdirSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import type { HealthReport } from '../../api/health.ts'
import { migrate } from '../../core/migrate.ts'
import { startApi, until } from '../support/api.ts'
import { openBrowser } from '../support/browser.ts'
import { privateCluster } from '../support/clusters.ts'
import { seedContent } from '../support/content.ts'
import { queryRows } from '../support/databases.ts'
import { talks } from '../support/talks.ts'

/** Longer than a passage, and nowhere a space to cut at. */
const unspaced = `${'数据库'.repeat(120)}复制槽会保留日志。${'我们'.repeat(200)}`

const hostile = `<img src=x onerror="document.title='owned'"> slot <script>document.title='owned'</script> & <b>bold</b>`

/** Pictures for a person to look at, where SCREENSHOTS names a folder. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['SCREENSHOTS']
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: `${folder}/${name}.png` })
}

async function openPage(t: Test, browser: Browser, options: Parameters<Browser['newPage']>[0] = {}) {
  const page = await browser.newPage(options)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // A refused search is told as such by the browser as well.
    if (message.type() === 'error' && !/the server responded with a status of/.test(message.text())) {
      complaints.push(message.text())
    }
  })
  t.teardown(() => page.close())
  return { page, complaints }
}

void t.test('the page', { timeout: 120_000 }, async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const cluster = await privateCluster(t, 'cloud')
  await queryRows(cluster.superuserUrl(), 'create database content')
  const url = cluster.superuserUrl('content')
  await migrate(url)
  await seedContent(url, {
    sources: [
      ...talks,
      {
        id: 5,
        title: `<i>Hostile</i> talk`,
        url: 'javascript:alert(1)',
        segments: [{ text: hostile, speaker: '<u>Mallory</u>', startMs: 3_723_000, endMs: 3_730_000 }],
      },
      { id: 6, title: '复制', segments: [{ text: unspaced, speaker: '王', startMs: 0, endMs: 9_000 }] },
    ],
    model: { id: 1, dimensions: 16 },
    beatAgeSeconds: 3,
    verdict: 'match',
  })
  const api = await startApi(t, { databaseUrl: url, requestsPerMinute: 1_000 })
  await until(
    () => api.get<HealthReport>('/health'),
    ({ body }) => body.fallback.ready && body.source === 'postgres',
  )
  const { page, complaints } = await openPage(t, browser, { viewport: { width: 1100, height: 850 } })

  await t.test('search', async (t) => {
    await page.goto(api.url)
    await page.locator('#freshness', { hasText: 'moments' }).waitFor()
    t.match(
      await page.textContent('#freshness'),
      /^8 moments to search · \d+ s behind home · verified .* ago: match$/,
    )
    t.equal(await page.evaluate('document.activeElement.id'), 'q', 'the box has the focus')
    t.ok(await page.isVisible('#intro'))
    await picture(page, 'start')
    await page.keyboard.type('which abandoned slot fills the disk')
    await page.keyboard.press('Enter')
    await page.waitForSelector('#hits li')
    t.equal(new URL(page.url()).searchParams.get('q'), 'which abandoned slot fills the disk')
    const first = page.locator('#hits li').first()
    t.same(await first.locator('mark').allTextContents(), ['slot', 'abandoned', 'slot', 'fills', 'disk'])
    t.equal(await first.locator('h2 .title').textContent(), 'Keeping WAL in check')
    t.match(await first.locator('h2 a').getAttribute('href'), /watch\?v=wal0001&t=\d+s$/)
    t.match(await first.locator('.time').textContent(), /^01:\d\d$/)
    t.equal(await first.locator('.speaker').textContent(), 'Ben')
    t.match(await first.locator('.facts').textContent(), /^Home databases · /)
    t.match(
      await page.textContent('#freshness'),
      /^Answered from Postgres in \d+ ms · \d+ s behind home · verified \d+ seconds? ago: match$/,
    )
    t.notOk(await page.isVisible('#intro'))
    t.match(await page.textContent('#count[role=status]'), /^\d+ results$/, 'told to who cannot see them')
    await picture(page, 'desktop')
  })

  await t.test('keyboard and address', async (t) => {
    await page.keyboard.press('/')
    t.equal(await page.evaluate('document.activeElement.id'), 'q')
    await page.keyboard.press('ArrowDown')
    t.equal(await page.evaluate('document.activeElement.textContent'), '01:24 Keeping WAL in check')
    await page.keyboard.press('ArrowUp')
    t.equal(await page.evaluate('document.activeElement.id'), 'q')
    await page.goto(`${api.url}/?q=speech+recognition`)
    await page.waitForSelector('#hits li')
    t.equal(await page.inputValue('#q'), 'speech recognition')
    t.equal(await page.locator('#hits h2 .title').first().textContent(), 'Speech at home')
    await page.fill('#q', 'vectors together')
    await page.keyboard.press('Enter')
    await page.locator('#hits mark', { hasText: 'vectors' }).first().waitFor()
    t.equal(await page.locator('#hits li').first().locator('a').count(), 0, 'no link without an address')
    await page.goBack()
    await until(
      () => page.inputValue('#q'),
      (value) => value === 'speech recognition',
    )
  })

  await t.test('what a transcript says stays text', async (t) => {
    await page.goto(`${api.url}/?q=bold+slot+owned`)
    await page.waitForSelector('#hits li')
    const hit = page.locator('#hits li', { hasText: 'Mallory' })
    t.match(await hit.locator('.said').textContent(), hostile, 'word for word')
    t.match(await hit.locator('h2').textContent(), /<i>Hostile<\/i> talk/)
    t.equal(await hit.locator('.time').textContent(), '1:02:03')
    t.equal(
      await page.locator('#hits img, #hits script, #hits i, #hits u, #hits a[href^="javascript"]').count(),
      0,
    )
    t.not(await page.title(), 'owned')
    await picture(page, 'hostile')
  })

  await t.test('a script without spaces', async (t) => {
    await page.goto(`${api.url}/?q=保留日志`)
    const hit = page.locator('#hits li', { hasText: '王' })
    t.equal(await hit.locator('mark').first().textContent(), '保留日志')
    const said = (await hit.locator('.said').textContent()) ?? ''
    t.ok(said.length > 300 && said.length < 500, 'a passage around it, as long as any other')
    t.equal(await hit.locator('.said').getAttribute('dir'), 'auto')
  })

  await t.test('nothing found, and a search that is refused', async (t) => {
    await page.route('**/search?**', (route) =>
      route.fulfill({
        json: {
          query: 'x',
          source: 'postgres',
          tookMs: 1,
          total: 0,
          hits: [],
          model: null,
          freshness: { asOf: null, lagSeconds: null, verified: null },
        },
      }),
    )
    await page.goto(`${api.url}/?q=x`)
    await page.waitForSelector('#message:not([hidden])')
    t.match(await page.textContent('#message'), /^Nothing found\./)
    t.match(await page.textContent('#freshness'), /age unknown · not verified yet$/)
    await page.unroute('**/search?**')
    await page.goto(`${api.url}/?q=${'a'.repeat(1_200)}`)
    await page.waitForSelector('#message.error')
    t.match(await page.textContent('#message'), /longer than 1000 characters/)
    t.equal(await page.locator('#hits li').count(), 0)
  })

  await t.test('on a phone, in the dark, from memory', async (t) => {
    await cluster.stop()
    await until(
      () => api.search({ q: 'slot' }),
      ({ body }) => body.source === 'memory',
    )
    const phone = await openPage(t, browser, {
      viewport: { width: 390, height: 780 },
      colorScheme: 'dark',
    })
    await phone.page.goto(`${api.url}/?q=replication+slot`)
    await phone.page.waitForSelector('#hits li')
    t.match(
      await phone.page.textContent('#freshness'),
      /^Answered from memory in \d+ ms · .* behind home · verified .*: match$/,
    )
    t.equal(
      await phone.page.evaluate('document.documentElement.scrollWidth'),
      390,
      'nothing is wider than the screen',
    )
    await picture(phone.page, 'phone-memory')
    t.same(phone.complaints, [])
  })

  await t.test('when nobody can answer', async (t) => {
    await page.route('**/search?**', (route) =>
      route.fulfill({ status: 503, json: { status: 503, code: 'NO_SOURCE', detail: 'x' } }),
    )
    await page.goto(`${api.url}/?q=slot`)
    await page.waitForSelector('#message.error')
    t.match(await page.textContent('#message'), /^Search is not available right now\./)
    await picture(page, 'error')
    await page.route('**/search?**', (route) => route.abort())
    await page.reload()
    await page.locator('#message', { hasText: 'No connection' }).waitFor()
    t.equal(await page.getAttribute('#message', 'role'), 'alert')
  })

  t.same(
    complaints.filter((complaint) => !/ERR_FAILED/.test(complaint)),
    [],
    'no error in the console, no breach of the content security policy',
  )
})
