import t from 'tap'
import { measureHybrid } from '../../support/hybrid-ranking.ts'
import { readCranfield } from '../../support/judged-sets.ts'
import { sharedData } from '../../support/shared-data.ts'

const folder = sharedData()

t.test(
  'questions find their documents as well as they did',
  { skip: folder === undefined && 'the judged sets of ../shared/data are not here' },
  async (t) => {
    const { words, vectors, fused } = await measureHybrid(readCranfield(folder ?? ''))
    t.ok(words.ndcg >= 0.38, `words alone reach nDCG@10 ${words.ndcg}`)
    t.ok(vectors.ndcg >= 0.415, `vectors alone reach ${vectors.ndcg}`)
    t.ok(fused.ndcg >= words.ndcg + 0.01, `fused gains on words: ${fused.ndcg}`)
  },
)
