import t from 'tap'
import { readTranscript } from '../../../ingest/readers/read-transcript.ts'
import {
  inventLines,
  random,
  rollingCues,
  toJson3,
  toSrt,
  toWebVtt,
  type TimedWord,
} from '../support/rolling-captions.ts'

function read(path: string, text: string): TimedWord[] {
  const { transcript } = readTranscript({ path, bytes: Buffer.from(text) })
  return transcript.utterances.flatMap(({ text: said, startMs, wordStartsMs }) =>
    said.split(' ').map((word, at) => ({ text: word, ms: wordStartsMs?.[at] ?? startMs ?? -1 })),
  )
}

const texts = (words: readonly TimedWord[]): string => words.map(({ text }) => text).join(' ')

t.test(
  'automatic captions made from known words come out as those words, once, at their times',
  async (t) => {
    for (let seed = 0; seed < 120; seed += 1) {
      const next = random(seed)
      const lines = inventLines(next)
      const said = lines.filter((line) => !line.isSound).flatMap((line) => line.words)
      const cues = rollingCues(lines, next)
      const found = {
        vtt: read('talk.en.vtt', toWebVtt(cues)),
        json3: read('talk.en.json3', toJson3(lines)),
        srt: texts(read('talk.en.srt', toSrt(cues, true))),
        srtWithoutBlankLines: texts(read('talk.en.srt', toSrt(cues, false))),
      }
      const wanted = { vtt: said, json3: said, srt: texts(said), srtWithoutBlankLines: texts(said) }
      // One assertion a seed would be 120 lines of report.
      if (JSON.stringify(found) !== JSON.stringify(wanted)) t.same(found, wanted, `seed ${seed}`)
    }
    t.pass('120 talks')
  },
)
