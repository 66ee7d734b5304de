import t from 'tap'
import { createLsaEmbedder } from '../../../core/embed/lsa.ts'
import { dot, halves, toHalf } from '../../../core/vector.ts'
import { countTerms } from '../../../core/words.ts'
import { fitLsa } from '../../../ingest/lsa/fit.ts'

/** Two subjects that share no word; "kernel" and "scheduler" never stand in one text, "linux" joins them. */
function twoSubjects(copies: number): ReturnType<typeof countTerms>[] {
  const texts = [
    'kernel linux driver patch',
    'scheduler linux process thread',
    'linux kernel driver module',
    'scheduler thread linux queue',
    'butter flour oven bread',
    'flour yeast bread dough',
    'oven dough butter crust',
    'yeast crust bread salt',
  ]
  return Array.from({ length: copies }, () => texts.map(countTerms)).flat()
}

t.test('words that keep the same company come close, others stay apart', async (t) => {
  const fitted = await fitLsa({ documents: twoSubjects(3), maxDimensions: 2 })
  t.equal(fitted.dimensions, 2)
  t.equal(fitted.fittedDocuments, 24)
  const embedder = createLsaEmbedder({ ...fitted, generation: fitted })
  const of = (text: string) => embedder.embedCounts(countTerms(text))
  const near = dot(of('kernel'), of('scheduler'))
  const far = dot(of('kernel'), of('bread'))
  t.ok(near > 0.5, `kernel and scheduler: ${near}`)
  t.ok(Math.abs(far) < 0.05, `kernel and bread: ${far}`)
})

t.test('with as many dimensions as the documents span, every cosine stays what it was', async (t) => {
  const documents = twoSubjects(8)
  const fitted = await fitLsa({ documents })
  t.equal(fitted.dimensions, 16)
  const embedder = createLsaEmbedder({ ...fitted, generation: fitted })
  const idf = (term: number) => {
    const df = documents.filter(({ terms }) => terms.includes(term)).length
    return Math.log(1 + (documents.length - df + 0.5) / (df + 0.5))
  }
  const inner = (left: number[], right: number[]) =>
    left.filter((term) => right.includes(term)).reduce((sum, term) => sum + idf(term) ** 2, 0)
  for (const [left, right] of [[0, 2] as const, [1, 3] as const, [4, 6] as const, [0, 5] as const]) {
    const [one, other] = [documents[left]!, documents[right]!]
    const exact =
      inner(one.terms, other.terms) / Math.sqrt(inner(one.terms, one.terms) * inner(other.terms, other.terms))
    const found = dot(embedder.embedCounts(one), embedder.embedCounts(other))
    t.ok(Math.abs(found - exact) < 0.002, `${left} and ${right}: ${found}, exactly ${exact}`)
  }
})

t.test('the same documents give the same bytes, however they come; another seed does not', async (t) => {
  const documents = twoSubjects(3)
  const first = await fitLsa({ documents, seed: 1 })
  async function* stream() {
    for (const { terms, counts } of documents) {
      yield { terms: Int32Array.from(terms), counts: Int16Array.from(counts) }
    }
  }
  const second = await fitLsa({ documents: stream(), seed: 1 })
  t.equal(second.fingerprint, first.fingerprint)
  t.same(second.basis, first.basis)
  t.not((await fitLsa({ documents: twoSubjects(4), seed: 1 })).fingerprint, first.fingerprint)
})

t.test('the basis holds nothing a halfvec column would round', async (t) => {
  const { basis, terms, dimensions } = await fitLsa({ documents: twoSubjects(3) })
  t.equal(basis.length, terms.length * dimensions)
  t.ok(basis.every((value) => halves()[toHalf(value)] === value))
  const peak = Math.max(...basis.map(Math.abs))
  t.ok(peak >= 256 && peak <= 520, `the largest value is ${peak}`)
})

t.test('the random start decides neither order nor signs of the dimensions', async (t) => {
  // As many columns as terms: the range is found exactly, whatever the start.
  const words = 'ada bison cobol dart elm forth go haskell idris java'.split(' ')
  const documents = Array.from({ length: 40 }, (_, at) =>
    countTerms(words.filter((_, word) => (at * 7 + word * word * 3 + at * word) % 5 < 2).join(' ')),
  )
  const [first, second] = [await fitLsa({ documents, seed: 1 }), await fitLsa({ documents, seed: 2 })]
  t.equal(first.dimensions, 10)
  const apart = first.basis.map((value, at) => Math.abs(value - second.basis[at]!))
  t.ok(Math.max(...apart) < 1, `of values up to 512 the furthest apart differ by ${Math.max(...apart)}`)
})

t.test('collections too small for their dimensions', async (t) => {
  for (const texts of [[], [''], ['one'], ['same words', 'same words'], ['a b', 'c d', 'e f']]) {
    const fitted = await fitLsa({ documents: texts.map(countTerms) })
    t.equal(fitted.dimensions, 2)
    t.ok(fitted.basis.every(Number.isFinite))
    const embedder = createLsaEmbedder({ ...fitted, generation: fitted })
    t.ok((await embedder.embedSegments(texts)).every((vector) => vector.every(Number.isFinite)))
  }
})

t.test('words of one document, and of most documents, are left out of a larger collection', async (t) => {
  const documents = Array.from({ length: 40 }, (_, at) =>
    countTerms(`everywhere pair${at % 20} ${at === 0 ? 'once' : ''}`),
  )
  const { terms } = await fitLsa({ documents })
  const holds = (word: string) => terms.includes(countTerms(word).terms[0] ?? 0)
  t.equal(holds('pair3'), true)
  t.equal(holds('once'), false)
  t.equal(holds('everywhere'), false)
})

t.test('the vocabulary keeps to its limit, by document frequency', async (t) => {
  const documents = twoSubjects(3)
  const { terms } = await fitLsa({ documents, maxTerms: 3 })
  t.equal(terms.length, 3)
  t.ok(terms.includes(countTerms('linux').terms[0] ?? 0))
  t.ok(terms.includes(countTerms('bread').terms[0] ?? 0))
})

t.test('fitting on some of the rows still counts all documents', async (t) => {
  const fitted = await fitLsa({ documents: twoSubjects(5), maxRows: 10 })
  t.equal(fitted.fittedDocuments, 40)
  t.equal(fitted.dimensions, 10)
})

t.test('progress is told pass by pass, and a throw in it ends the fit', async (t) => {
  const told: [number, number][] = []
  await fitLsa({ documents: twoSubjects(2), onProgress: (...pass) => told.push(pass) })
  t.same(
    told.map(([done]) => done),
    told.map((_, at) => at + 1),
  )
  t.ok(told.every(([, passes]) => passes === told.length))
  const stop = new Error('stop')
  await t.rejects(
    fitLsa({
      documents: twoSubjects(2),
      onProgress: () => {
        throw stop
      },
    }),
    stop,
  )
})
