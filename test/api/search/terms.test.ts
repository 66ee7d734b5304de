import t from 'tap'
import { longestQueryTerms, planTerms, weighTerms } from '../../../api/search/terms.ts'
import { inverseDocumentFrequency } from '../../../core/bm25.ts'
import { hashTerm, stemOf } from '../../../core/words.ts'

const termOf = (word: string) => hashTerm(stemOf(word))

void t.test('rarest first, with times in the query by idf', async (t) => {
  const statistics = {
    documents: 1000,
    averageLength: 220,
    lexicon: new Map([
      [termOf('slot'), 40],
      [termOf('database'), 700],
    ]),
  }
  const terms = weighTerms('database slot, database zyzzyva', statistics)
  t.same(
    terms.map(({ term, documentFrequency }) => [term, documentFrequency]),
    [
      [termOf('zyzzyva'), 1],
      [termOf('slot'), 40],
      [termOf('database'), 700],
    ],
  )
  t.equal(terms[2]?.weight, 2 * inverseDocumentFrequency(1000, 700))
})

void t.test('a question of a thousand characters keeps its most telling words', async (t) => {
  const words = Array.from({ length: 160 }, (_, at) => `w${at}q`)
  const lexicon = new Map(words.map((word, at) => [termOf(word), 1000 - at]))
  const terms = weighTerms(words.join(' '), { documents: 2000, averageLength: 100, lexicon })
  t.equal(terms.length, longestQueryTerms)
  t.equal(terms[0]?.documentFrequency, 1000 - 159)
})

void t.test('which terms propose', async (t) => {
  const limits = { documents: 50_000, rows: 1_000, enough: 50 }
  const cases: [name: string, frequencies: number[], any: number[], all: number[]][] = [
    ['no words', [], [], []],
    ['one rare word', [30], [0], []],
    ['rare words up to the cap', [30, 400, 600], [0, 1], []],
    ['enough by the rare ones, the common one only scores', [200, 30_000], [0], []],
    ['too few by the rare one: the others together', [3, 5_000, 6_000], [0], [1, 2]],
    ['two words of medium frequency meet', [4_000, 5_000], [], [0, 1]],
    ['a third that would leave too few stays out', [4_000, 5_000, 5_500], [], [0, 1]],
    ['one common word alone', [48_000], [], [0]],
    ['common words only, all needed', [20_000, 40_000, 45_000], [], [0, 1, 2]],
    ['stops when few enough are expected', [2_000, 20_000, 40_000], [], [0, 1]],
    ['a frequency past the collection', [90_000], [], [0]],
  ]
  for (const [name, frequencies, any, all] of cases) {
    const terms = frequencies.map((documentFrequency, term) => ({ term, documentFrequency }))
    t.same(planTerms(terms, limits), { any, all }, name)
  }
  t.same(planTerms([{ term: 1, documentFrequency: 1 }], { ...limits, documents: 0 }), { any: [1], all: [] })
})
