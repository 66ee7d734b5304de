import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { readSrt } from '../../../ingest/readers/srt.ts'
import { readWebVtt } from '../../../ingest/readers/webvtt.ts'
import { readJson3 } from '../../../ingest/readers/youtube-json3.ts'
import type { Transcript } from '../../../ingest/transcript.ts'

interface Word {
  text: string
  startMs: number
}

/** Lines of words with growing times. Few different words, so that real repeats are frequent. */
const lines: fc.Arbitrary<Word[][]> = fc
  .array(
    fc.array(
      fc.record({
        text: fc.constantFrom('never', 'no', 'yes', 'ever', "it's", 'a'),
        waitMs: fc.integer({ min: 20, max: 900 }),
      }),
      {
        minLength: 1,
        maxLength: 5,
      },
    ),
    { minLength: 2, maxLength: 12 },
  )
  .map((groups) => {
    let startMs = 1000
    return groups.map((group) =>
      group.map(({ text, waitMs }) => {
        startMs += waitMs
        return { text, startMs }
      }),
    )
  })

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 23)
const plain = (line: readonly Word[]): string => line.map((word) => word.text).join(' ')
const start = (line: readonly Word[] | undefined): number => line?.[0]?.startMs ?? 0
const end = (all: readonly Word[][], index: number): number => {
  const next = all[index + 1]
  return next === undefined ? (all[index]?.at(-1)?.startMs ?? 0) + 500 : start(next) - 10
}

/** As YouTube writes them: the line before above the new one, then both finished lines' last for 10 ms. */
function tagged(all: readonly Word[][]): string {
  return (
    'WEBVTT\nKind: captions\nLanguage: en\n\n' +
    all
      .map((line, index) => {
        const before = index === 0 ? ' ' : plain(all[index - 1] ?? [])
        const [first, ...rest] = line
        const words = `${first?.text ?? ''}${rest.map((word) => `<${clock(word.startMs)}><c> ${word.text}</c>`).join('')}`
        const from = start(line)
        const to = end(all, index)
        return (
          `${clock(from)} --> ${clock(to)} align:start position:0%\n${before}\n${words}\n\n` +
          `${clock(to)} --> ${clock(to + 10)} align:start position:0%\n${plain(line)}\n \n\n`
        )
      })
      .join('')
  )
}

/** What converting that to SRT leaves: no word times, no blank lines. */
function untagged(all: readonly Word[][]): string {
  let number = 0
  return all
    .map((line, index) => {
      const before = index === 0 ? '' : `${plain(all[index - 1] ?? [])}\n`
      const [from, to] = [start(line), end(all, index)]
      return (
        `${++number}\n${clock(from).replace('.', ',')} --> ${clock(to).replace('.', ',')}\n${before}${plain(line)}\n\n` +
        `${++number}\n${clock(to).replace('.', ',')} --> ${clock(to + 10).replace('.', ',')}\n${plain(line)}\n\n`
      )
    })
    .join('')
}

function json3(all: readonly Word[][]): string {
  const events = all.flatMap((line, index) => [
    {
      tStartMs: start(line),
      dDurationMs: 5000,
      wWinId: 1,
      segs: line.map((word, at) =>
        at === 0
          ? { utf8: word.text, acAsrConf: 0 }
          : { utf8: ` ${word.text}`, tOffsetMs: word.startMs - start(line), acAsrConf: 0 },
      ),
    },
    { tStartMs: end(all, index), dDurationMs: 10, wWinId: 1, aAppend: 1, segs: [{ utf8: '\n' }] },
  ])
  return JSON.stringify({ wireMagic: 'pb3', events: [{ tStartMs: 0, dDurationMs: 99999, id: 1 }, ...events] })
}

function heard(transcript: Transcript): Word[] {
  return transcript.utterances.flatMap((each) =>
    each.text.split(' ').map((text, index) => ({ text, startMs: each.wordStartsMs?.[index] ?? -1 })),
  )
}

function overlaps({ utterances }: Transcript): boolean {
  return utterances.some((each, index) => (each.endMs ?? 0) > (utterances[index + 1]?.startMs ?? Infinity))
}

t.test('rolling VTT with word tags comes out once, word by word with its times', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(lines, (all) => {
        const { transcript } = readWebVtt(tagged(all), 'v.vtt')
        assert.deepEqual(heard(transcript), all.flat())
        assert.equal(transcript.method, 'captions-auto')
        assert.ok(!overlaps(transcript))
      }),
      { numRuns: 150 },
    ),
  )
})

t.test('rolling json3 comes out once, word by word with its times', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(lines, (all) => {
        const { transcript } = readJson3(json3(all), 'v.json3')
        assert.deepEqual(heard(transcript), all.flat())
        assert.ok(!overlaps(transcript))
      }),
      { numRuns: 100 },
    ),
  )
})

t.test('rolling SRT without word times comes out once', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(lines, (all) => {
        const { transcript } = readSrt(untagged(all), 'v.srt')
        assert.deepEqual(
          transcript.utterances.map((each) => [each.text, each.startMs]),
          all.map((line) => [plain(line), start(line)]),
        )
        assert.ok(!overlaps(transcript))
      }),
      { numRuns: 100 },
    ),
  )
})

t.test('two lines that move up, without filler cues', async (t) => {
  const said = ['one two three', 'never', 'never', 'never', 'four five', 'one two three']
  const cues = said.map((line, index) => {
    const before = index === 0 ? '' : `${said[index - 1] ?? ''}\n`
    return `00:0${index}.000 --> 00:0${index + 1}.000\n${before}${line}\n\n`
  })
  const { transcript } = readWebVtt(`WEBVTT\n\n${cues.join('')}`, 'v.vtt')
  t.same(
    transcript.utterances.map((each) => each.text),
    said,
  )
})

t.test('one line that grows word by word', async (t) => {
  const shown = ['so', 'so we', 'so we went', 'home', 'home and', 'home and slept']
  const cues = shown.map((line, index) => `00:0${index}.000 --> 00:0${index + 1}.000\n${line}\n\n`)
  const { transcript } = readWebVtt(`WEBVTT\n\n${cues.join('')}`, 'v.vtt')
  t.equal(transcript.utterances.map((each) => each.text).join(' '), 'so we went home and slept')
})

t.test('the old line above the new one after a silence is not said again', async (t) => {
  const text = tagged([
    [
      { text: 'hello', startMs: 1000 },
      { text: 'there', startMs: 1500 },
    ],
    [
      { text: 'welcome', startMs: 3000 },
      { text: 'back', startMs: 3500 },
    ],
  ])
    .replace(/00:00:03\.(\d+) -->/g, '00:00:23.$1 -->')
    .replace('00:00:04.000', '00:00:24.000')
    .replaceAll('00:00:04.0', '00:00:24.0')
    .replace('<00:00:03.500>', '<00:00:23.500>')
  const { transcript } = readWebVtt(text, 'v.vtt')
  t.same(
    transcript.utterances.map((each) => [each.text, each.startMs]),
    [
      ['hello there', 1000],
      ['welcome back', 23000],
    ],
  )
})
