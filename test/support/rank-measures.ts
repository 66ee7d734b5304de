/** Ranking measures at depth 10 with relevance yes or no, averaged over questions: 0 to 1, more is better. */
export interface RankMeasures {
  ndcg: number
  recall: number
  mrr: number
}

const depth = 10

/** @param ranked positions of documents, best first */
export function measureRanking(ranked: readonly number[], relevant: ReadonlySet<number>): RankMeasures {
  let gain = 0
  let found = 0
  let first = 0
  ranked.slice(0, depth).forEach((document, at) => {
    if (!relevant.has(document)) return
    gain += 1 / Math.log2(at + 2)
    found++
    if (first === 0) first = at + 1
  })
  let ideal = 0
  for (let at = 0; at < Math.min(depth, relevant.size); at++) ideal += 1 / Math.log2(at + 2)
  return {
    ndcg: ideal === 0 ? 0 : gain / ideal,
    recall: relevant.size === 0 ? 0 : found / relevant.size,
    mrr: first === 0 ? 0 : 1 / first,
  }
}

export function averageMeasures(all: readonly RankMeasures[]): RankMeasures {
  const mean = (pick: (one: RankMeasures) => number) =>
    all.reduce((sum, one) => sum + pick(one), 0) / Math.max(1, all.length)
  return { ndcg: mean((one) => one.ndcg), recall: mean((one) => one.recall), mrr: mean((one) => one.mrr) }
}
