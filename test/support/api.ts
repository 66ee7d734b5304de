import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { createApi, type Api } from '../../api/api.ts'
import type { SearchResponse } from '../../api/routes/search.ts'
import type { ApiSettings } from '../../api/settings.ts'
import { createLog } from '../../core/log.ts'

export interface RunningApi {
  api: Api
  url: string
  search(parameters: Record<string, string>): Promise<Answer<SearchResponse>>
  get<Body = unknown>(path: string): Promise<Answer<Body>>
}

export interface Answer<Body> {
  status: number
  headers: Headers
  body: Body
}

/** A folder that is gone after the test. */
export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'homeport-test-'))
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** The api in this process on a port of its own, over real HTTP; stopped after the test. */
export async function startApi(
  t: Test,
  change: Partial<ApiSettings> & Pick<ApiSettings, 'databaseUrl'>,
): Promise<RunningApi> {
  const settings: ApiSettings = {
    host: '127.0.0.1',
    port: 0,
    requestsPerMinute: 100_000,
    trustedProxies: [],
    allowWritableRole: true,
    apiOnly: true,
    ingestionEnabled: false,
    snapshotPath: join(temporaryFolder(t), 'snapshot'),
    refreshSeconds: 1,
    fallbackEngine: 'scan',
    embedder: { kind: 'lsa' },
    logLevel: process.env['TEST_LOG_LEVEL'] ?? 'silent',
    ...change,
  }
  const api = await createApi(settings, createLog({ name: 'api', level: settings.logLevel }))
  t.teardown(() => api.stop())
  await api.start()
  const url = await api.app.listen({ host: settings.host, port: settings.port })
  return { api, url, ...client(url) }
}

export function client(url: string): Pick<RunningApi, 'search' | 'get'> {
  const get = async <Body>(path: string): Promise<Answer<Body>> => {
    const response = await fetch(`${url}${path}`)
    return { status: response.status, headers: response.headers, body: (await response.json()) as Body }
  }
  return {
    get,
    search: (parameters) => get<SearchResponse>(`/search?${new URLSearchParams(parameters).toString()}`),
  }
}

/** Asks again until the answer is as wished. @throws after a while, with the last answer. */
export async function until<T>(
  ask: () => Promise<T>,
  wished: (answer: T) => boolean,
  limitMs = 20_000,
): Promise<T> {
  const end = Date.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (wished(answer)) return answer
    if (Date.now() > end) throw new Error(`still not as wished: ${JSON.stringify(answer)}`)
    await sleep(50)
  }
}
