/**
 * Okapi BM25 as Lucene computes it (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework:
 * BM25 and Beyond"; the idf with 1 added inside the logarithm, so that no word counts against a text):
 *
 *   score(query, text) = sum over terms of count in query * idf(term) * termWeight(term, text)
 *   idf = ln(1 + (documents - df + 0.5) / (df + 0.5))
 *   termWeight = count * (k1 + 1) / (count + k1 * (1 - b + b * length / averageLength))
 */
export const k1 = 1.2
export const b = 0.75

/** A term that the lexicon does not list is in one document. */
export const unlistedDocuments = 1

/**
 * How much a term tells. Never negative.
 *
 * @param documents documents in the collection
 * @param documentFrequency documents that hold the term; outside 0 to `documents` it is clamped
 */
export function inverseDocumentFrequency(documents: number, documentFrequency: number): number {
  const frequency = Math.min(Math.max(documentFrequency, 0), documents)
  return Math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))
}

/**
 * What a term's occurrences in one text are worth, before its idf: 0 to k1 + 1.
 *
 * @param count occurrences in the text
 * @param length words of the text
 * @param averageLength words of a text, on average; 0 in an empty collection
 */
export function termWeight(count: number, length: number, averageLength: number): number {
  const relativeLength = averageLength > 0 ? length / averageLength : 1
  return (count * (k1 + 1)) / (count + k1 * (1 - b + b * relativeLength))
}
