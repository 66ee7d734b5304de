import t from 'tap'
import { sentenceStarts } from '../../../ingest/chunk/sentences.ts'

t.test('a long monologue has the same sentences wherever it is looked at', async (t) => {
  const texts: string[] = []
  const wanted: number[] = []
  // Lengths that share no factor with any window.
  for (let sentence = 0; texts.length < 9000; sentence += 1) {
    if (sentence > 0) wanted.push(texts.length)
    const words = 3 + ((sentence * 7) % 23)
    for (let at = 0; at < words; at += 1) texts.push(at === 0 ? 'Then' : at === 2 ? 'Mr.' : `word${at}`)
    texts.push(sentence % 3 === 0 ? 'why?' : 'so.')
  }
  t.same(sentenceStarts(texts, 0, texts.length), wanted)
  t.same(sentenceStarts(texts, wanted[5] ?? 0, wanted[9] ?? 0), wanted.slice(6, 9))
})

t.test('a sentence longer than any window has no start within', async (t) => {
  const texts = Array.from({ length: 5000 }, (_, at) => `word${at}`)
  t.same(sentenceStarts([...texts, 'end.', 'Next', 'one.'], 0, texts.length + 3), [texts.length + 1])
})

// A window over all of it takes minutes: the segmenter copies its text for every sentence.
t.test('a hundred thousand sentences', async (t) => {
  const texts = Array.from({ length: 200_000 }, (_, at) => (at % 2 === 0 ? 'Yes' : 'no!'))
  t.equal(sentenceStarts(texts, 0, texts.length).length, 99_999)
})
