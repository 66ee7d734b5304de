import t from 'tap'
import { readTranscript } from '../../../ingest/readers/read-transcript.ts'

function read(path: string, text: string) {
  return readTranscript({ path, bytes: Buffer.from(text) })
}
const vtt = 'WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n'
const srt = '1\n00:00:01,000 --> 00:00:02,000\nHello\n'
const json3 = '{"events":[{"tStartMs":1000,"dDurationMs":1000,"segs":[{"utf8":"Hello"}]}]}'

t.test('reads every kind by its name', async (t) => {
  const cases: [string, string, string][] = [
    ['a/v.vtt', vtt, 'webvtt'],
    ['v.VTT', vtt, 'webvtt'],
    ['v.srt', srt, 'srt'],
    ['v.json3', json3, 'youtube-json3'],
    ['v.json', json3, 'youtube-json3'],
    ['v.md', '**Ann:** Hello', 'markdown'],
    ['v.markdown', '**Ann:** Hello', 'markdown'],
  ]
  for (const [path, text, engine] of cases) {
    const { transcript, warnings } = read(path, text)
    t.equal(transcript.engine, engine, path)
    t.equal(transcript.utterances[0]?.text, 'Hello', path)
    t.same(warnings, [])
  }
})

t.test('believes the content where the name is plainly wrong', async (t) => {
  const { transcript, warnings } = read('v.srt', vtt)
  t.equal(transcript.engine, 'webvtt')
  t.match(warnings, [/line 1: this is WebVTT, though it is named \.srt/])
  t.equal(read('v.vtt', json3).transcript.engine, 'youtube-json3')
})

t.test('takes the language from the name where the file has none', async (t) => {
  t.equal(read('v.pt-BR.srt', srt).transcript.language, 'pt-BR')
  t.equal(read('v.en-orig.vtt', vtt).transcript.language, 'en')
  t.equal(read('v.en.vtt', vtt.replace('WEBVTT', 'WEBVTT\nLanguage: de')).transcript.language, 'de')
  t.equal(read('part.two.srt', srt).transcript.language, undefined)
})

t.test('refuses what is no transcript or holds no speech', async (t) => {
  for (const path of ['v.txt', 'v.mp4', 'v', 'v.sbv'])
    t.throws(() => read(path, vtt), { code: 'NOT_A_TRANSCRIPT', file: path })
  t.throws(() => read('v.json', '{"name":"x"}'), { code: 'NOT_A_TRANSCRIPT' })
  t.throws(() => read('v.srt', 'Dear diary'), { code: 'NOT_A_TRANSCRIPT' })
  t.throws(() => read('v.vtt', 'WEBVTT\n\n00:01.000 --> 00:02.000\n...\n'), { code: 'NO_SPEECH' })
  t.throws(() => read('v.json3', '{"events":[]}'), { code: 'NO_SPEECH' })
  t.throws(() => read('v.vtt', ''), { code: 'EMPTY_FILE' })
})

t.test('reads UTF-16 captions and passes warnings on', async (t) => {
  const utf16 = readTranscript({
    path: 'v.srt',
    bytes: Buffer.from(`\uFEFF${srt.replace('Hello', 'Grüße')}`, 'utf16le'),
  })
  t.equal(utf16.transcript.utterances[0]?.text, 'Grüße')
  const latin = readTranscript({ path: 'v.srt', bytes: Buffer.from(srt.replace('Hello', 'Grüße'), 'latin1') })
  t.equal(latin.transcript.utterances[0]?.text, 'Grüße')
  t.match(latin.warnings, [/line 3: .*windows-1252/])
})

t.test('broken JSON is named with its line also where the engine only quotes it', async (t) => {
  const broken = (text: string): unknown => {
    try {
      readTranscript({ path: 'a.json3', bytes: Buffer.from(text) })
    } catch (error) {
      return (error as { line?: number }).line
    }
    return 'read'
  }
  t.equal(broken('<html>Too many requests</html>'), 1)
  t.equal(broken('{\n "events": [\n  {"tStartMs": NaN}\n ]\n}'), 3)
  t.equal(broken('{\n "events": [\n  {"tStartMs": 1,}\n ]\n}'), 3)
  t.equal(broken('{\n "events": [\n'), 3)
})

t.test('what was read in a guessed encoding and holds no speech says so', async (t) => {
  // Shift JIS: no letter of windows-1252.
  const bytes = Buffer.concat([
    Buffer.from('WEBVTT\n\n00:01.000 --> 00:02.000\n'),
    Buffer.from([0x82, 0xa0, 0x82, 0xa2]),
  ])
  t.throws(() => readTranscript({ path: 'a.vtt', bytes }), {
    code: 'NO_SPEECH',
    message: /holds no speech \(line 4: not UTF-8; read as windows-1252\)/,
  })
})
