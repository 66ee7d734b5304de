import t from 'tap'
import { Collection, emptyStatistics, type SegmentRecord } from '../../../api/fallback/collection.ts'
import { Lexicon } from '../../../api/fallback/lexicon.ts'
import { createPause } from '../../../api/fallback/pause.ts'
import { encodeRow } from '../../../api/fallback/row-store.ts'
import { weighTerms } from '../../../api/search/terms.ts'
import { inverseDocumentFrequency, termWeight } from '../../../core/bm25.ts'
import { countTerms, queryTerms } from '../../../core/words.ts'
import { randomNumbers } from './fixture.ts'

const vocabulary = Array.from({ length: 60 }, (_, at) => `word${'abcdefghij'[at % 10]}${at}`)

function record(id: string, text: string, changeSeq: number): SegmentRecord {
  const counted = countTerms(text)
  const row = encodeRow({
    sourceId: '1',
    startMs: null,
    endMs: null,
    chapter: null,
    speaker: null,
    text,
    turns: [],
    wordStartsMs: null,
  })
  return { id, changeSeq, row, words: counted, vector: null }
}

/** Statistics as home counts them. */
function statisticsOf(texts: readonly string[]) {
  const documents = new Map<number, number>()
  let length = 0
  for (const text of texts) {
    const counted = countTerms(text)
    length += counted.length
    for (const term of counted.terms) documents.set(term, (documents.get(term) ?? 0) + 1)
  }
  const listed = [...documents].filter(([, count]) => count >= 2).sort(([a], [b]) => a - b)
  return {
    documents: texts.length,
    averageLength: length / texts.length,
    countedAtMs: 0,
    lexicon: new Lexicon(
      Int32Array.from(listed, ([term]) => term),
      Int32Array.from(listed, ([, count]) => count),
    ),
  }
}

function bm25(query: string, text: string, statistics: ReturnType<typeof statisticsOf>): number {
  const counted = countTerms(text)
  const asked = queryTerms(query)
  let score = 0
  asked.terms.forEach((term, at) => {
    const found = counted.terms.indexOf(term)
    if (found < 0) return
    const idf = inverseDocumentFrequency(statistics.documents, statistics.lexicon.get(term) ?? 1)
    score +=
      asked.counts[at]! * idf * termWeight(counted.counts[found]!, counted.length, statistics.averageLength)
  })
  return score
}

t.test('scores are those of the definition, whatever came, went and was compacted', async (t) => {
  const random = randomNumbers(5)
  const pick = () => vocabulary[Math.floor(random() ** 2 * vocabulary.length)]!
  const text = () => Array.from({ length: 1 + Math.floor(random() * 40) }, pick).join(' ')
  let collection = new Collection({
    generation: null,
    basis: null,
    sources: { byId: new Map(), sum: 0n },
    statistics: emptyStatistics,
    asOf: new Date(),
  })
  const texts = new Map<string, string>()
  // More than 255 and more than 511 of one word: past the small counts.
  const many = { 'many-300': 300, 'many-600': 600 }
  for (const [id, times] of Object.entries(many)) texts.set(id, `${'worda0 '.repeat(times)} end`)
  for (const [id, content] of texts) collection.put(record(id, content, 1))

  for (let round = 1; round <= 12; round++) {
    for (let change = 0; change < 15; change++) {
      const id = `s${Math.floor(random() * 60)}`
      if (random() < 0.3) {
        texts.delete(id)
        collection.remove(id)
      } else {
        const content = text()
        texts.set(id, content)
        collection.put(record(id, content, round * 100 + change))
      }
    }
    if (round % 3 === 0) collection = await collection.compact(createPause())
    collection.statistics = statisticsOf([...texts.values()])
    t.equal(collection.size, texts.size)
    const query = `${pick()} ${pick()} worda0 unheard`
    const scores = new Float64Array(collection.rowCount)
    collection.scoreWords(weighTerms(query, collection.statistics), scores)
    for (let position = 0; position < collection.rowCount; position++) {
      if (!collection.isAlive(position)) continue
      const id = collection.ids[position]!
      const expected = bm25(query, texts.get(id)!, collection.statistics)
      if (Math.abs(scores[position]! - expected) > 1e-9) t.fail(`${id}: ${scores[position]} for ${expected}`)
      if (collection.rows.read(position).text !== texts.get(id)) t.fail(`${id} has another text`)
    }
  }
  t.equal(collection.deadCount, 0, 'the last round compacted')
  t.equal(collection.base, texts.size)
})

t.test('a segment whose words arrive later is found then', async (t) => {
  const collection = new Collection({
    generation: null,
    basis: null,
    sources: { byId: new Map(), sum: 0n },
    statistics: statisticsOf(['alpha', 'beta']),
    asOf: new Date(),
  })
  const whole = record('1', 'alpha beta', 5)
  collection.put({ ...whole, words: null })
  t.same([...collection.wordless], ['1'])
  collection.put(whole)
  t.same([...collection.wordless], [])
  const before = collection.version
  collection.put(whole)
  t.equal(collection.version, before, 'the same again changes nothing')
  t.equal(collection.size, 1)
})

t.test('counts and sums leave out what is dead and what lies below', async (t) => {
  const collection = new Collection({
    generation: null,
    basis: null,
    sources: { byId: new Map(), sum: 0n },
    statistics: emptyStatistics,
    asOf: new Date(),
  })
  // Large enough that a sum of doubles would be off.
  const big = 2 ** 52 - 10
  for (const [id, changeSeq] of [
    ['a', 5],
    ['b', 7],
    ['c', big],
    ['d', big + 1],
  ] as const) {
    collection.put(record(id, 'x', changeSeq))
  }
  collection.remove('b')
  t.same(collection.check(0, 'segments'), { count: 3, sum: 5n + BigInt(big) + BigInt(big + 1) })
  t.same(collection.check(5, 'segments'), { count: 2, sum: BigInt(big) + BigInt(big + 1) })
  t.same(collection.check(0, 'embeddings'), { count: 0, sum: 0n })
  t.same(
    [...collection.changedAfter(4, 'segments')].map(([id]) => id),
    ['a', 'c', 'd'],
  )
})
