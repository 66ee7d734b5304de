import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ingestCaptions } from '../ingest/support/run-ingest.ts'
import { createDatabase, queryRows } from '../support/databases.ts'

const saying = (text: string): string => `WEBVTT\n\n00:00.000 --> 00:02.000\n${text}\n`

t.test('what only looks like a file is named, and nothing waits for it', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({
    'good.vtt': saying('This one is as it should be.'),
    'piped.vtt': saying('Its metadata is a pipe.'),
    'endless.vtt': saying('Its metadata has no end.'),
    'folder.vtt': { 'inside.vtt': saying('A folder may be called like a file.') },
    'heavy.vtt': '',
  })
  truncateSync(join(folder, 'heavy.vtt'), 300 * 1024 ** 3)
  symlinkSync('/dev/zero', join(folder, 'endless.info.json'))
  symlinkSync('loop-b.vtt', join(folder, 'loop-a.vtt'))
  symlinkSync('loop-a.vtt', join(folder, 'loop-b.vtt'))
  symlinkSync('.', join(folder, 'self'))
  const pipe = join(folder, 'pipe.vtt')
  const made = spawnSync('mkfifo', [pipe, join(folder, 'piped.info.json')])
  t.equal(made.status, 0)
  // A pipe in a folder is passed over; one that is named is refused.
  const { exitCode, report } = await ingestCaptions(url, [folder, pipe])
  t.equal(exitCode, 1)
  t.match(report, { sources: { added: 2 } })
  const named = Object.fromEntries(
    report.failures.map((each) => [each.path.slice(folder.length + 1), each.code]),
  )
  t.same(named, {
    'loop-a.vtt': 'FILE_UNREADABLE',
    'loop-b.vtt': 'FILE_UNREADABLE',
    'endless.info.json': 'FILE_UNREADABLE',
    'heavy.vtt': 'FILE_TOO_LARGE',
    'pipe.vtt': 'FILE_UNREADABLE',
    'piped.info.json': 'FILE_UNREADABLE',
  })
  rmSync(join(folder, 'piped.info.json'))
  writeFileSync(join(folder, 'heavy.vtt'), saying('Now it is light.'))
  const again = await ingestCaptions(url, [join(folder, 'piped.vtt'), join(folder, 'heavy.vtt')])
  t.match(again.report, { ok: true, sources: { added: 2 } }, 'a later good version goes in')
})

t.test('names of any kind', async (t) => {
  const url = await createDatabase(t, 'primary')
  const names = [
    'with space',
    'new\nline',
    '-rf',
    '--prune',
    'emoji 🎙️',
    `'"$(id)%s`,
    'back\\slash',
    'x'.repeat(251),
  ]
  const folder = t.testdir(
    Object.fromEntries(names.map((name) => [`${name}.vtt`, saying(`Called ${name.length}.`)])),
  )
  writeFileSync(join(folder, 'red\u001b[31m.vtt'), 'WEBVTT\n\nno time\u0007 here\n')
  writeFileSync(
    Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9]), Buffer.from('.vtt')]),
    saying('Latin'),
  )
  const { stderr, report } = await ingestCaptions(url, [folder])
  t.match(report, { sources: { added: names.length, failed: 2 } })
  // eslint-disable-next-line no-control-regex
  t.notMatch(stderr, /[\x07\x1b\r]/, 'no name steers the terminal')
  t.match(stderr, /red\\u001b\[31m\.vtt, line 3: "no time\\u0007 here" has no time line above it/)
  t.match(stderr, /its name is not UTF-8/)
  t.match((await ingestCaptions(url, [folder])).report, { sources: { added: 0, unchanged: names.length } })
})

t.test('what the database does not take is one bad file, not the end of the run', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({
    'a.vtt': saying('First.'),
    'b.vtt': saying('Second.'),
    'c.vtt': saying('Third.'),
  })
  await queryRows(url, `alter table segments add constraint no_second check (text <> 'Second.')`)
  const { exitCode, report } = await ingestCaptions(url, [folder])
  t.equal(exitCode, 1)
  t.match(report, {
    sources: { added: 2, failed: 1 },
    failures: [{ path: join(folder, 'b.vtt'), code: 'DATABASE_REFUSED', reason: /"no_second" \(23514\)$/ }],
    generation: { action: 'build', vectorsAdded: 2 },
  })
  t.same(await queryRows(url, 'select title from sources order by 1'), [{ title: 'A' }, { title: 'C' }])
  await queryRows(url, 'alter table segments drop constraint no_second')
  t.match((await ingestCaptions(url, [folder])).report, { ok: true, sources: { added: 1, unchanged: 2 } })
})

t.test('a path longer than an index takes', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'z.vtt': saying('Short.') })
  // Names of no pattern, which the index cannot compress.
  const names = Array.from({ length: 13 }, (_, at) =>
    Array.from({ length: 240 }, (_, n) => ((n * n * 31 + at * 977 + n * (at + 7)) % 36).toString(36)).join(
      '',
    ),
  )
  const deep = join(folder, ...names)
  mkdirSync(deep, { recursive: true })
  writeFileSync(join(deep, 'a.vtt'), saying('Deep.'))
  const { report } = await ingestCaptions(url, [folder])
  t.equal(report.sources.added + report.sources.failed, 2)
  t.match(await queryRows(url, `select title from sources where title = 'Z'`), [{ title: 'Z' }])
})
