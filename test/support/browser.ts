import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'
import type { Test } from 'tap'

const executablePath = '/usr/bin/chromium'

/** A headless Chromium, closed after the test; undefined where none is installed and CI does not insist. */
export async function openBrowser(t: Test): Promise<Browser | undefined> {
  if (!existsSync(executablePath) && process.env['CI'] === undefined) {
    t.comment('there is no Chromium here: the page is not looked at')
    return undefined
  }
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  t.teardown(() => browser.close())
  return browser
}
