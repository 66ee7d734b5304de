import { inverseDocumentFrequency, termWeight, unlistedDocuments } from '../../core/bm25.ts'
import { createLsaEmbedder } from '../../core/embed/lsa.ts'
import { dot } from '../../core/vector.ts'
import { countTerms, queryTerms, type TermCounts } from '../../core/words.ts'
import { fitLsa } from '../../ingest/lsa/fit.ts'
import type { JudgedSet } from './judged-sets.ts'
import { averageMeasures, measureRanking, type RankMeasures } from './rank-measures.ts'

/** The measures of a judged set, ranked in full (no candidate limits) by each half and by both. */
export interface HybridMeasures {
  words: RankMeasures
  vectors: RankMeasures
  fused: RankMeasures
  /** Words alone with the stop words left in the question. */
  wordsWithStopWords: RankMeasures
  fitSeconds: number
}

export const lsaWeights = { words: 0.8, vector: 0.2 }

/** Ranks a judged set as the product does, in the plainest way: every question against every document. */
export async function measureHybrid(set: JudgedSet): Promise<HybridMeasures> {
  const documents = set.documents.map(countTerms)
  const started = performance.now()
  const fitted = await fitLsa({ documents })
  const fitSeconds = (performance.now() - started) / 1_000
  const embedder = createLsaEmbedder({ ...fitted, generation: fitted })
  const vectors = documents.map((document) => embedder.embedCounts(document))
  const scoreWords = wordScorer(documents)
  const rankings = set.questions.map(({ text, relevant }) => {
    const question = queryTerms(text)
    const words = scoreWords(question)
    const query = embedder.embedCounts(question)
    const closeness = vectors.map((vector) => Math.max(0, dot(query, vector)))
    const measure = (scores: readonly number[]) => measureRanking(ranked(scores), relevant)
    return {
      words: measure(words),
      vectors: measure(closeness),
      fused: measure(fuse(words, closeness)),
      wordsWithStopWords: measure(scoreWords(countTerms(text))),
    }
  })
  const average = (pick: (one: (typeof rankings)[number]) => RankMeasures) =>
    averageMeasures(rankings.map(pick))
  return {
    words: average((one) => one.words),
    vectors: average((one) => one.vectors),
    fused: average((one) => one.fused),
    wordsWithStopWords: average((one) => one.wordsWithStopWords),
    fitSeconds,
  }
}

function wordScorer(documents: readonly TermCounts[]): (question: TermCounts) => number[] {
  const postings = new Map<number, { document: number; count: number }[]>()
  documents.forEach(({ terms, counts }, document) => {
    terms.forEach((term, at) => {
      const found = postings.get(term) ?? []
      found.push({ document, count: counts[at] ?? 0 })
      postings.set(term, found)
    })
  })
  const averageLength = documents.reduce((sum, { length }) => sum + length, 0) / documents.length
  return (question) => {
    const scores = documents.map(() => 0)
    question.terms.forEach((term, at) => {
      const found = postings.get(term) ?? []
      const idf = inverseDocumentFrequency(documents.length, found.length || unlistedDocuments)
      for (const { document, count } of found) {
        const weight = termWeight(count, documents[document]?.length ?? 0, averageLength)
        scores[document] = (scores[document] ?? 0) + (question.counts[at] ?? 0) * idf * weight
      }
    })
    return scores
  }
}

function fuse(words: readonly number[], closeness: readonly number[]): number[] {
  const mostWords = Math.max(...words) || 1
  const mostClose = Math.max(...closeness) || 1
  return words.map(
    (score, at) =>
      (lsaWeights.words * score) / mostWords + (lsaWeights.vector * (closeness[at] ?? 0)) / mostClose,
  )
}

function ranked(scores: readonly number[]): number[] {
  return scores
    .map((score, document) => ({ score, document }))
    .filter(({ score }) => score > 0)
    .sort((left, right) => right.score - left.score || left.document - right.document)
    .map(({ document }) => document)
}
