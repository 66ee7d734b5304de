import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ingestCaptions, runIngest, sampleTalks } from '../ingest/support/run-ingest.ts'
import { createDatabase, queryRows } from '../support/databases.ts'

const good = 'WEBVTT\n\n00:00.000 --> 00:02.000\nThis one is as it should be.\n'
const utf16 = (text: string): Buffer => Buffer.from(`\ufeff${text}`, 'utf16le')

t.test('each bad file is named with line and reason, and the others go in', async (t) => {
  const url = await createDatabase(t, 'primary')
  const bad: Record<string, string | Buffer> = {
    'not-captions.vtt': 'Dear diary,\n\ntoday nothing was recorded.\n',
    'empty.srt': '',
    'binary.vtt': Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0xff, 0xfe]),
    'nul.srt': '1\n00:00:00,000 --> 00:00:02,000\nHere\0 is a NUL\n',
    'backwards.vtt': 'WEBVTT\n\n00:09.000 --> 00:02.000\nThe end lies before the start.\n',
    'negative.srt': '1\n-00:00:05,000 --> 00:00:02,000\nBefore the beginning\n',
    'broken.json3': '{"wireMagic":"pb3","events":[{"tStartMs":',
    'metadata.vtt': good,
    'metadata.info.json': '{"title": 7}',
  }
  const folder = t.testdir({
    'good.vtt': good,
    'utf16.vtt': utf16(good.replace('This one', 'Naïve café')),
    'windows-1252.srt': Buffer.from(
      '1\r\n00:00:00,000 --> 00:00:02,000\r\nCaf\xe9 \x93quoted\x94\r\n',
      'latin1',
    ),
    ...bad,
  })
  const { exitCode, stderr, report } = await ingestCaptions(url, [folder])
  t.equal(exitCode, 1)
  t.equal(report.ok, false)
  const named = new Map(report.failures.map((failure) => [failure.path.slice(folder.length + 1), failure]))
  for (const name of Object.keys(bad).filter((key) => key !== 'metadata.vtt')) {
    const failure = named.get(name)
    t.ok(failure, `${name} is named`)
    t.ok(failure?.reason, `${name}: ${failure?.code} ${failure?.line} ${failure?.reason}`)
    t.ok(stderr.includes(join(folder, name)), `${name} stands on stderr`)
  }
  t.equal(named.size, Object.keys(bad).length - 1)
  t.equal(named.get('backwards.vtt')?.line, 3)
  t.equal(report.sources.failed, named.size)
  t.match(report.sources, { added: 3 })
  const texts = await queryRows<{ text: string }>(url, 'select text from segments order by text')
  t.same(
    texts.map(({ text }) => text),
    ['Café “quoted”', 'Naïve café is as it should be.', 'This one is as it should be.'],
  )

  // What was good once and is bad now stays as it was.
  writeFileSync(join(folder, 'good.vtt'), 'WEBVTT\n\n00:05.000 --> 00:02.000\nBroken by an editor\n')
  const again = await ingestCaptions(url, [folder])
  t.match(again.report, { ok: false, sources: { added: 0, removed: 0, failed: named.size + 1 } })
  t.match(await queryRows(url, 'select count(*)::int from segments'), [{ count: 3 }])
})

t.test('a line of 100 MB', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'good.vtt': good })
  writeFileSync(join(folder, 'long.vtt'), `WEBVTT\n\n00:00.000 --> 00:02.000\n${'la '.repeat(35_000_000)}\n`)
  const { exitCode, report } = await ingestCaptions(url, [folder])
  t.equal(exitCode, 1)
  t.match(report, {
    sources: { added: 1, failed: 1 },
    failures: [{ path: join(folder, 'long.vtt'), code: /^(FILE_TOO_LARGE|LINE_TOO_LONG)$/ }],
  })
})

t.test('a path that is not there, beside one that is', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'good.vtt': good })
  const { exitCode, report } = await ingestCaptions(url, [folder, join(folder, 'no-such.vtt')])
  t.equal(exitCode, 1)
  t.match(report, { sources: { added: 1 }, failures: [{ path: join(folder, 'no-such.vtt') }] })
})

/** Root reads everything: then the command runs as another user, who has to reach this repository. */
const isRoot = process.getuid?.() === 0
const nobody = 65_534
const look = `require('fs').readdirSync(${JSON.stringify(sampleTalks)})`
const reachable =
  !isRoot || spawnSync(process.execPath, ['-e', look], { uid: nobody, gid: nobody }).status === 0
const skip = reachable ? false : 'root reads everything, and another user does not reach the repository'

t.test('a folder and a file that may not be read', { skip }, async (t) => {
  const folder = t.testdir({ 'good.vtt': good, 'secret.vtt': good, closed: { 'inside.vtt': good } })
  const url = await createDatabase(t, 'primary')
  const options = {
    env: { LOCAL_DATABASE_URL: url, HOME: '/nonexistent' },
    ...(isRoot ? { uid: nobody } : {}),
  }
  const before = await runIngest(['captions', folder, '--json'], options)
  t.match(JSON.parse(before.stdout), { ok: true, sources: { added: 3 } })

  chmodSync(join(folder, 'closed'), 0o000)
  chmodSync(join(folder, 'secret.vtt'), 0o000)
  const run = await runIngest(['captions', folder, '--prune', '--json'], options)
  chmodSync(join(folder, 'closed'), 0o755)
  t.equal(run.exitCode, 1)
  t.match(JSON.parse(run.stdout), {
    sources: { unchanged: 1, removed: 0 },
    failures: [
      { path: join(folder, 'closed'), reason: /permission denied/ },
      { path: join(folder, 'secret.vtt'), reason: /permission denied/ },
    ],
  })
  t.match(await queryRows(url, 'select count(*)::int from sources'), [{ count: 3 }], 'nothing was lost')
})
