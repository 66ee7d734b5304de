import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import t from 'tap'
import { discoverTranscripts, type Discovery } from '../../../ingest/readers/discover.ts'

const md = '**Ann:** Hello'
const json3 = '{"wireMagic":"pb3","events":[]}'

function brief(root: string, { inputs, skipped, problems, otherFiles }: Discovery) {
  const at = (path: string) => relative(root, path)
  return {
    inputs: inputs.map((each) => [
      at(each.transcriptPath),
      each.infoPath === null ? null : at(each.infoPath),
      each.skipped.map(({ path }) => at(path)),
    ]),
    skipped: skipped.map(({ path, reason }) => [at(path), reason]),
    problems: problems.map((problem) => [problem.code, at(problem.file)]),
    otherFiles,
  }
}

t.test('finds transcripts in folders, in order, one for each video', async (t) => {
  const root = t.testdir({
    'b.md': md,
    'README.md': '**Ann:** not a talk',
    LICENSE: '',
    'notes.md': 'just notes',
    'picture.png': 'x',
    'package.json': '{}',
    'a.srt': 'x',
    'security-talk.md': md,
    'v.info.json': JSON.stringify({ language: 'en', subtitles: { en: [] }, automatic_captions: { de: [] } }),
    'v.en.vtt': 'x',
    'v.en.json3': json3,
    'v.de.json3': json3,
    'orphan.info.json': '{}',
    '.hidden.md': md,
    '.git': { 'x.md': md },
    node_modules: { 'x.md': md },
    sub: { 'c.one.vtt': 'x', 'c.two.vtt': 'x', 'd.json': json3, 'empty.md': '' },
  })
  t.same(brief(root, await discoverTranscripts([root])), {
    inputs: [
      ['a.srt', null, []],
      ['b.md', null, []],
      ['security-talk.md', null, []],
      ['v.en.json3', 'v.info.json', ['v.de.json3', 'v.en.vtt']],
      ['sub/c.one.vtt', null, []],
      ['sub/c.two.vtt', null, []],
      ['sub/d.json', null, []],
    ],
    skipped: [
      ['notes.md', 'no paragraph names its speaker'],
      ['sub/empty.md', 'no paragraph names its speaker'],
      ['orphan.info.json', 'metadata without a transcript beside it'],
    ],
    problems: [],
    otherFiles: 4,
  })
})

t.test('a named file that is no transcript is a problem, and the rest goes on', async (t) => {
  const root = t.testdir({ 'a.txt': 'x', 'v.info.json': '{}', 'v.vtt': 'x', 'notes.md': 'just notes' })
  const at = (name: string) => join(root, name)
  const found = await discoverTranscripts([
    at('a.txt'),
    at('none'),
    at('v.info.json'),
    at('v.vtt'),
    at('v.vtt'),
    at('notes.md'),
  ])
  t.same(brief(root, found), {
    // The reader says what is wrong with notes.md.
    inputs: [
      ['v.vtt', 'v.info.json', []],
      ['notes.md', null, []],
    ],
    skipped: [],
    problems: [
      ['NOT_A_TRANSCRIPT', 'a.txt'],
      ['FILE_UNREADABLE', 'none'],
      ['NOT_A_TRANSCRIPT', 'v.info.json'],
    ],
    otherFiles: 0,
  })
})

t.test('links are followed once, loops end, broken ones are named', async (t) => {
  const root = t.testdir({ talks: { 'a.md': md } })
  symlinkSync('..', join(root, 'talks', 'loop'))
  symlinkSync('a.md', join(root, 'talks', 'same.md'))
  symlinkSync('nowhere.md', join(root, 'talks', 'torn.md'))
  const found = await discoverTranscripts([join(root, 'talks'), root])
  t.same(brief(root, found).inputs, [['talks/a.md', null, []]])
  t.match(brief(root, found).problems[0], ['FILE_UNREADABLE', 'talks/torn.md'])
})

t.test('a folder that cannot be read is a problem, and the rest goes on', async (t) => {
  // Not under the repository, which nobody else may be able to reach.
  const root = mkdtempSync(join(tmpdir(), 'discover-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'open'))
  mkdirSync(join(root, 'closed'))
  writeFileSync(join(root, 'open', 'a.md'), md)
  chmodSync(root, 0o755)
  chmodSync(join(root, 'closed'), 0o000)
  // Root reads everything, so look as somebody else.
  const asRoot = process.getuid?.() === 0
  if (asRoot) process.seteuid?.(65534)
  let found: Discovery
  try {
    found = await discoverTranscripts([root])
  } finally {
    if (asRoot) process.seteuid?.(0)
  }
  const { inputs, problems } = brief(root, found)
  t.same(inputs, [['open/a.md', null, []]])
  t.same(problems, [['FOLDER_UNREADABLE', 'closed']])
})
