import fc from 'fast-check'
import t from 'tap'
import { countTerms, hashTerm, queryTerms, stemOf, tokenize, wordFinder } from '../../core/words.ts'

const written = (text: string) => tokenize(text).map(({ start, end }) => text.slice(start, end))
const termOf = (text: string) => tokenize(text)[0]?.term

t.test('what a word is, and where it stands', async (t) => {
  const table: [text: string, words: string[]][] = [
    ['', []],
    [' \n\t.,;!?— ', []],
    ['Hello, wörld!', ['Hello', 'wörld']],
    ['pg_stat_activity 3.5 v2', ['pg', 'stat', 'activity', '3', '5', 'v2']],
    ["don't stop 'quoted' dogs' tails", ["don't", 'stop', 'quoted', 'dogs', 'tails']],
    ["rock'n'roll a''b it’s", ["rock'n'roll", 'a', 'b', 'it’s']],
    ['data\u00adbase x\u200by', ['data\u00adbase', 'x', 'y']],
    ['e\u0301te\u0301', ['e\u0301te\u0301']],
    ['a\ud800b \udc00 𝒳y', ['a', 'b', '𝒳y']],
    ['NUL\u0000byte', ['NUL', 'byte']],
    ['日', ['日']],
    ['東京都に', ['東京', '京都', '都に']],
    ['iPhone手机壳2024年', ['iPhone', '手机', '机壳', '2024', '年']],
    ['東京。京都', ['東京', '京都']],
    ['ｶﾞｯﾂ', ['ｶﾞｯ', 'ｯﾂ']],
    ['한국어', ['한국', '국어']],
    ['สวัสดี', ['สวั', 'วัส', 'สดี']],
    ['नमस्ते दुनिया', ['नमस्ते', 'दुनिया']],
  ]
  for (const [text, words] of table) t.same(written(text), words, JSON.stringify(text))
})

t.test('what counts as the same word', async (t) => {
  const same: [string, string][] = [
    ['Café', 'cafe'],
    ['e\u0301te\u0301', 'été'],
    ['ＡＢＣ', 'abc'],
    ['ﬁle', 'files'],
    ['data\u00adbase', 'database'],
    ["Ann's", 'Ann'],
    ["we'll", 'we'],
    ['I’ve', 'i'],
    ["don't", 'dont'],
    ["l'homme", 'homme'],
    ['STRASSE', 'straße'],
    ['İstanbul', 'istanbul'],
    ['ΟΔΟΣ', 'οδος'],
    ['Ёлка', 'елка'],
    ['ガッ', 'ｶﾞｯ'],
    ['がっ', 'か\u3099っ'],
    ['한국', '한국'.normalize('NFD')],
    ['replicating', 'replicated'],
    ['databases', 'database'],
  ]
  for (const [left, right] of same) t.equal(termOf(left), termOf(right), `${left} = ${right}`)
  for (const [left, right] of [
    ['нос', 'нож'],
    ['がっ', 'はっ'],
    ['v2', 'v3'],
    ["O'Reilly", 'Reilly'],
  ] as const) {
    t.not(termOf(left), termOf(right), `${left} is not ${right}`)
  }
  t.equal(stemOf('Replication'), 'replic')
  t.equal(stemOf('naïveté'), stemOf('naivete'))
  t.equal(stemOf('がっこう'), 'がっこう', 'composed, not in parts')
  const noise = 'running'.repeat(1_000)
  t.equal(stemOf(noise), noise, 'what is no word is left as it is')
})

t.test('the hash is part of the data format', async (t) => {
  // Computed by another implementation of FNV-1a and of MurmurHash3's finaliser.
  const known: [string, number][] = [
    ['', -1_421_968_373],
    ['replic', 434_009_778],
    ['東京', -712_292_174],
    ['𝒳', -912_264_050],
  ]
  for (const [text, hash] of known) t.equal(hashTerm(text), hash, text)
})

t.test('counting agrees with reading', async (t) => {
  const counted = countTerms('To be, or not to be: that is the question. Be.')
  t.equal(counted.length, 11)
  t.equal(
    counted.counts.reduce((sum, count) => sum + count, 0),
    11,
  )
  t.equal(counted.counts[counted.terms.indexOf(termOf('be') ?? 0)], 3)
  t.same(
    counted.terms,
    [...counted.terms].sort((left, right) => left - right),
  )
  t.same(countTerms(''), { terms: [], counts: [], length: 0 })
})

t.test('a count stays within a smallint', async (t) => {
  const { counts, length } = countTerms('again '.repeat(40_000))
  t.same(counts, [32_767])
  t.equal(length, 40_000)
})

t.test('any string at all', async (t) => {
  const anything = fc.string({
    unit: fc.oneof(
      fc.constantFrom("'", '’', '\ud83d', '\u0301', ' ', 'a', '東', 'ﾞ', '\u00ad'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
  })
  fc.assert(
    fc.property(anything, (text) => {
      const tokens = tokenize(text)
      let before = { start: -1, end: 0 }
      for (const token of tokens) {
        if (token.start <= before.start || token.end <= token.start || token.end > text.length) return false
        if (token.term !== (token.term | 0)) return false
        before = token
      }
      const { terms, counts, length } = countTerms(text)
      return (
        length === tokens.length && counts.length === terms.length && new Set(terms).size === terms.length
      )
    }),
    { numRuns: 2_000 },
  )
  t.pass('offsets rise and stay inside, terms fit an integer')
})

t.test('a word reads the same wherever it stands', async (t) => {
  const words = ['Database', "Ann's", 'café', 'Ⅷ', 'ﬁne', "l'été", '東京']
  const text = words.join(' ')
  t.same(
    tokenize(text).map(({ term }) => term),
    words.map(termOf),
  )
  // Twice, so that the second reading comes from the cache, and after the cache was overrun.
  countTerms(Array.from({ length: 80_000 }, (_, at) => `w${at}`).join(' '))
  t.same(
    tokenize(text).map(({ term }) => term),
    words.map(termOf),
  )
})

t.test('a question loses its function words, unless it has no other', async (t) => {
  t.same(queryTerms('what is the replication lag').terms, countTerms('replication lag').terms)
  t.same(queryTerms("Why doesn't the SLOT advance?"), countTerms('slot advance'))
  t.same(queryTerms('who are they'), countTerms('who are they'))
  t.same(queryTerms('lag lag').counts, [2])
  t.same(queryTerms('?!'), { terms: [], counts: [], length: 0 })
  t.same(queryTerms('vitamin A and US').terms, countTerms('vitamin').terms)
})

t.test('the words of a question are found in a text as counting finds them', async (t) => {
  const letters = fc.constantFrom(
    'a',
    'E',
    'y',
    's',
    'S',
    'i',
    'n',
    'g',
    'q',
    'u',
    'l',
    '4',
    "'",
    '’',
    'é',
    'ß',
    '東',
    '\u0301',
    'Ⅷ',
    'ﬁ',
  )
  const spoken = fc.array(fc.string({ unit: letters, minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 30,
  })
  let found = 0
  fc.assert(
    fc.property(spoken, fc.array(fc.nat(29), { minLength: 1, maxLength: 4 }), (words, picked) => {
      const question = picked.map((at) => words[at % words.length]).join(' ')
      const text = words.join(' ')
      const terms = new Set(queryTerms(question).terms)
      const wanted = tokenize(text).filter(({ term }) => terms.has(term))
      found += wanted.length
      return JSON.stringify(wordFinder(question)(text)) === JSON.stringify(wanted)
    }),
    { numRuns: 3_000 },
  )
  t.ok(found > 3_000, `${found} words were found`)
})
