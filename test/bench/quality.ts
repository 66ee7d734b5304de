import { sharedData } from '../support/shared-data.ts'
import { measureHybrid, type HybridMeasures } from '../support/hybrid-ranking.ts'
import { readCranfield, readQmsum } from '../support/judged-sets.ts'

/** Okapi BM25 with a stop list and English stems on the same sets, by another implementation. */
const yardsticks: Readonly<Record<string, number>> = { cranfield: 0.39, qmsum: 0.302 }

const rows = ['words', 'wordsWithStopWords', 'vectors', 'fused'] as const satisfies (keyof HybridMeasures)[]

/** How well questions find their answers: words alone, the lexical vectors alone, and both. */
export async function run({ note }: { note: (text: string) => void }): Promise<{
  figures: Record<string, number>
  ratios: Record<string, number>
}> {
  const folder = sharedData()
  if (folder === undefined) throw new Error('this benchmark needs the judged sets of ../shared/data')
  const figures: Record<string, number> = {}
  const ratios: Record<string, number> = {}
  for (const set of [readCranfield(folder), readQmsum(folder)]) {
    const measures = await measureHybrid(set)
    note(`${set.name}: ${set.documents.length} documents, ${set.questions.length} questions`)
    note(`  ${'ranked by'.padEnd(20)}nDCG@10  recall@10  MRR@10`)
    for (const row of rows) {
      const { ndcg, recall, mrr } = measures[row]
      note(`  ${row.padEnd(20)}${ndcg.toFixed(3)}    ${recall.toFixed(3)}      ${mrr.toFixed(3)}`)
      figures[`${set.name}.${row}.ndcg10`] = ndcg
      figures[`${set.name}.${row}.recall10`] = recall
      figures[`${set.name}.${row}.mrr10`] = mrr
    }
    figures[`${set.name}.fitSeconds`] = measures.fitSeconds
    const yardstick = yardsticks[set.name]
    if (yardstick !== undefined) ratios[`${set.name}.wordsVsYardstick`] = measures.words.ndcg / yardstick
    ratios[`${set.name}.fusedVsWords`] = measures.fused.ndcg / measures.words.ndcg
  }
  return { figures, ratios }
}
