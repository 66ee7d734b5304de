import t from 'tap'
import { captionLists, chooseTrack } from '../../../ingest/readers/track-choice.ts'
import { splitTrackName } from '../../../ingest/readers/track-name.ts'

function choose(names: readonly string[], info?: object): string | undefined {
  const tracks = names.map((path) => ({ path, ...splitTrackName(path, () => true) }))
  const { chosen, skipped } = chooseTrack(tracks, captionLists(info))
  t.equal(skipped.length, names.length - (chosen === undefined ? 0 : 1), 'every other one is reported')
  return chosen?.path
}

t.test('picks the track that is what was said', async (t) => {
  const both = {
    language: 'en',
    subtitles: { en: [], fr: [] },
    automatic_captions: { en: [], 'en-orig': [], de: [] },
  }
  const cases: [string[], object | undefined, string | undefined][] = [
    [['v.srt', 'v.vtt', 'v.json3', 'v.md'], undefined, 'v.json3'],
    [['v.de.vtt', 'v.en.vtt'], undefined, 'v.en.vtt'],
    [['v.en.vtt', 'v.vtt'], undefined, 'v.vtt'],
    [['v.fr.json3', 'v.en.srt'], both, 'v.en.srt'],
    [['v.en-orig.json3', 'v.en.vtt'], both, 'v.en.vtt'],
    [
      ['v.en.vtt', 'v.fr.vtt'],
      { language: 'fr', subtitles: { en: [] }, automatic_captions: { fr: [] } },
      'v.fr.vtt',
    ],
    [
      ['v.en.vtt', 'v.en-orig.vtt'],
      { subtitles: {}, automatic_captions: { en: [], 'en-orig': [] } },
      'v.en-orig.vtt',
    ],
    [['v.de.vtt', 'v.fr.srt'], both, 'v.fr.srt'],
    [['v.de.vtt'], both, undefined],
    [['v.en-GB.vtt', 'v.de.json3'], { language: 'en' }, 'v.en-GB.vtt'],
  ]
  for (const [names, info, chosen] of cases) t.equal(choose(names, info), chosen, names.join(' '))
  t.equal(choose(['v.srt', 'v.en.vtt'], { title: 'no lists' }), 'v.srt')
})

t.test('a word in a name is no language', async (t) => {
  t.match(splitTrackName('v.en.vtt'), { base: 'v', language: 'en', extension: '.vtt' })
  t.match(splitTrackName('v.pt-BR.VTT'), { base: 'v', language: 'pt-BR', extension: '.vtt' })
  t.match(splitTrackName('part.one.srt'), { base: 'part.one', language: undefined })
  t.match(
    splitTrackName('v.fil.srt', (base) => base === 'v'),
    { base: 'v', language: 'fil' },
  )
  t.match(splitTrackName('talk 1.2.srt'), { base: 'talk 1.2', language: undefined })
})
