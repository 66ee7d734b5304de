import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { chunkTranscript } from '../../../ingest/chunk/chunk-transcript.ts'
import { readTranscript } from '../../../ingest/readers/read-transcript.ts'
import { sharedData } from '../../support/shared-data.ts'
import { withoutOverlaps } from '../chunk/overlaps.ts'

const data = sharedData()
const options = { skip: data === undefined && 'no ../shared/data here' }

// Every tenth file, and each that is known to be odd; all of them with CORPUS=all.
const all = process.env['CORPUS'] === 'all'
const odd =
  /(?:-(?:204|205|207|217|221|236|238|243|251|259|270|283|290|327|356|379|384|399|412|466|473|477|496|498|571|605|616|666)|^ship-it-(?:30|56|58|73))\.md$/

const breaks =
  /^[\W]*(?:Break|Outro|Jingle|(?:Sound )?Sample|(?:Recording|Extract)(?: begins| ends)?)\W*(?:\[[\W\d]*\]|to|\W)*$/
const speaker = /^(?:\d|# )?\*{1,3}([^*]+?)(?::\s*\*\*|\*\*\s*:|: "\*\*)/

function corpus(): { name: string; bytes: Buffer }[] {
  const root = join(data ?? '', 'changelog')
  return ['founderstalk', 'podcast', 'shipit'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name, index) => all || index % 10 === 0 || odd.test(name))
      .map((name) => ({ name, bytes: readFileSync(join(root, folder, name)) })),
  )
}

t.test('no speech of the podcast corpus is lost or invented, speakers stay', options, async (t) => {
  const wrong: unknown[] = []
  let files = 0
  for (const { name, bytes } of corpus()) {
    files += 1
    const { transcript } = readTranscript({ path: name, bytes })
    const markdown = bytes.toString('utf8')
    const difference = compareBags(
      crudeWords(markdown),
      transcript.utterances.flatMap((each) => wordsOf(each.text)),
    )
    if (difference.length > 0) wrong.push([name, difference])
    const speakers = new Set(transcript.utterances.map((each) => each.speaker))
    const named = crudeSpeakers(markdown)
    const lost = [...named].filter((speaker) => !speakers.has(speaker))
    const invented = [...speakers].filter((speaker) => speaker !== null && !named.has(speaker))
    if (lost.length + invented.length > 0) wrong.push([name, { lost, invented }])
    const starts = transcript.utterances.flatMap((each) => each.startMs ?? [])
    if (starts.some((ms, index) => ms < (starts[index - 1] ?? 0))) wrong.push([name, 'times go back'])
  }
  t.ok(files > 80)
  t.same(wrong, [])
})

t.test('every word of the podcast corpus is in a segment, within the limits', options, async (t) => {
  const wrong: unknown[] = []
  let segments = 0
  let small = 0
  for (const { name, bytes } of corpus()) {
    const { transcript } = readTranscript({ path: name, bytes })
    const drafts = chunkTranscript(transcript)
    segments += drafts.length
    const words = transcript.utterances.flatMap((each) => each.text.split(' '))
    const chunked = drafts.map((draft) => draft.text.split(/\s/))
    const { core, overlaps } = withoutOverlaps(words, chunked)
    if (core !== words.length) wrong.push([name, `word ${core} of ${words.length} is in no segment`])
    if (overlaps.some((count) => count > 50)) wrong.push([name, 'too much overlap'])
    for (const [index, draft] of drafts.entries()) {
      const count = chunked[index]?.length ?? 0
      if (count > 300) wrong.push([name, draft.ordinal, 'words', count])
      if (draft.startMs !== null && (draft.endMs ?? 0) - draft.startMs > 120_000)
        wrong.push([name, draft.ordinal, 'ms'])
      if (count < 60) small += 1
    }
  }
  t.same(wrong, [])
  t.ok(small < segments / 500, `${small} of ${segments} segments are under 60 words`)
})

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}

/** The words by another road than the reader's: line by line, everything unescaped first, marks struck out by rough patterns. */
function crudeWords(markdown: string): string[] {
  const known = crudeSpeakers(markdown)
  return markdown
    .split('\n')
    .map((line) => line.replace(/\\(?=[^\w\s])/g, '').replace(/\[\\+/g, '['))
    .filter((line) => !breaks.test(line))
    .map((line) => line.replace(speaker, (whole) => (whole.includes('"') ? '"' : ' ')))
    .map((line) => line.replace(/ \*\*[A-Z][^*:]+ [^*:]+:\*\*/g, ' '))
    .map((line) => line.replace(/^\*\*([^*]+)\*\*/, (whole, name: string) => (known.has(name) ? ' ' : whole)))
    .map((line) =>
      line.replace(/^([A-Z][\w' ]+):\s/, (whole, name: string) => (isKnown(name, known) ? ' ' : whole)),
    )
    .flatMap((line) =>
      wordsOf(
        line
          .replace(/\[([^[\]]*?)\\*\d+(?::\d\d)+(?:\.[\d\\]+)?\\*\]/g, ' $1 ')
          .replace(/!\[[^\]]*\]\([^)]*\)/g, '')
          .replace(/\]\((?:[^()]|\([^()]*\))*\)/g, '] ')
          .replace(/<\/?\w+>/g, '')
          .replace(/&quot;/g, '"')
          .replace(/&#39;/g, "'")
          .replace(/&[lg]t;/g, ' ')
          .replace(/&amp;/g, '&'),
      ),
    )
}

function isKnown(name: string, known: ReadonlySet<string>): boolean {
  return known.has(name) || [...known].filter((full) => full.startsWith(`${name} `)).length === 1
}

function crudeSpeakers(markdown: string): Set<string> {
  const names = new Set<string>()
  for (const line of markdown.split('\n')) {
    const plain = line.replace(/\\(?=[^\w\s])/g, '')
    if (breaks.test(plain)) continue
    for (const match of [speaker.exec(plain), ...plain.matchAll(/ \*\*([A-Z][^*:]+ [^*:]+):\*\*/g)]) {
      const name = match?.[1]?.split(':')[0]?.trim()
      if (name !== undefined) names.add(name)
    }
  }
  return names
}

function compareBags(expected: readonly string[], found: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const word of expected) counts.set(word, (counts.get(word) ?? 0) + 1)
  for (const word of found) counts.set(word, (counts.get(word) ?? 0) - 1)
  return [...counts].filter(([, count]) => count !== 0)
}
