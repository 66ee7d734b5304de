import type { FastifyInstance } from 'fastify'
import { wordFinder } from '../../core/words.ts'
import { overallVerdict, secondsSince, type Pulse } from '../pulse.ts'
import type { AnsweringModel, SearchEngine } from '../search/engine.ts'
import { presentHit, type PresentedHit } from '../search/present.ts'
import { parseSearchQuery } from './search-query.ts'

export interface SearchResponse {
  query: string
  source: 'postgres' | 'memory'
  tookMs: number
  freshness: {
    asOf: string | null
    lagSeconds: number | null
    verified: { verdict: string; at: string; fullAt: string | null } | null
  }
  model: AnsweringModel | null
  /** Ranked candidates, of which `hits` is a page. */
  total: number
  hits: PresentedHit[]
}

export interface SearchRouteOptions {
  engine: SearchEngine
  pulse: Pick<Pulse, 'facts'>
}

/** `GET /search?q=&limit=&offset=` */
export function registerSearch(app: FastifyInstance, { engine, pulse }: SearchRouteOptions): void {
  app.get('/search', async (request, reply): Promise<SearchResponse> => {
    const mark = request.url.indexOf('?')
    const { q, limit, offset } = parseSearchQuery(mark < 0 ? '' : request.url.slice(mark + 1))
    const started = performance.now()
    const answer = await engine.search({ query: q, limit, offset })
    const findWords = wordFinder(q)
    const hits = answer.hits.map((hit) => presentHit(hit, findWords))
    const verified = overallVerdict(pulse.facts().verifications)
    reply.header('cache-control', 'no-store')
    return {
      query: q,
      source: answer.source,
      tookMs: Math.round((performance.now() - started) * 10) / 10,
      freshness: {
        asOf: answer.asOf?.toISOString() ?? null,
        lagSeconds: secondsSince(answer.asOf, new Date()),
        verified: verified && {
          verdict: verified.verdict,
          at: verified.at.toISOString(),
          fullAt: verified.fullAt?.toISOString() ?? null,
        },
      },
      model: answer.model,
      total: answer.total,
      hits,
    }
  })
}
