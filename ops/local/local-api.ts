import { createWriteStream } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { bareEnvironment, settingsOf } from '../../core/config.ts'
import { HomeportError } from '../../core/errors.ts'
import { startChild, type RunningChild } from './child-process.ts'
import { choosePort } from './ports.ts'

export interface LocalApiOptions {
  /** The data folder: for the log and the snapshot. */
  folder: string
  /** Where the records of running children lie. */
  runFolder: string
  /** DATABASE_URL, with the read-only role. */
  readerUrl: string
  signal: AbortSignal
  onNote: (text: string) => void
  /** Told of the child as soon as there is one, so that it can be stopped while it is not ready yet. */
  onChild: (child: RunningChild) => void
  /** For a test of what happens between the look at a port and the api's. */
  choose?: typeof choosePort
}

export interface ListenAddress {
  host: string
  port: number
}

const apiReadyMs = 120_000
const mostAttempts = 3

/**
 * Starts the api as in production, in its own process, with the read-only role and nothing else in its
 * environment, and returns its address when it answers. On PORT (default 8080) if that is free, else on
 * another one.
 *
 * @throws HomeportError API_START with the end of its log.
 */
export async function startLocalApi(options: LocalApiOptions): Promise<{ url: string; child: RunningChild }> {
  const wanted = listenAddress(settingsOf(['HOST', 'PORT']))
  for (let attempt = 1; ; attempt++) {
    const port = await (options.choose ?? choosePort)(attempt === 1 ? wanted.port : undefined, wanted.host)
    const heard: Heard = { log: [], listens: false }
    const child = await startApiProcess(options, { host: wanted.host, port }, heard)
    options.onChild(child)
    const url = addressToOpen(wanted.host, port)
    try {
      await waitUntilReady(url, child, heard, options.signal)
    } catch (error) {
      // Someone was faster between our look at the port and the api's, as another start at the same moment.
      if (attempt < mostAttempts && heard.log.some((line) => line.includes(`:${port} is taken`))) continue
      throw error
    }
    if (port !== wanted.port)
      options.onNote(`Port ${wanted.port} is taken by another program; the api listens on ${port}`)
    return { url, child }
  }
}

/** What the process has said so far: its last lines, and whether its address was among them. */
interface Heard {
  log: string[]
  listens: boolean
}

/** HOST and PORT where they are set to an address and a port; some shells put the machine's name into HOST. */
export function listenAddress(environment: Readonly<Record<string, string | undefined>>): ListenAddress {
  const { HOST = '', PORT = '' } = environment
  const port = Number(PORT)
  return {
    host: isIP(HOST) === 0 ? '127.0.0.1' : HOST,
    port: /^\d+$/.test(PORT) && port >= 1 && port <= 65_535 ? port : 8080,
  }
}

/** The URL under which a browser on this machine finds what listens on `host`. */
export function addressToOpen(host: string, port: number): string {
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`
  return `http://${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}

async function startApiProcess(
  options: LocalApiOptions,
  { host, port }: ListenAddress,
  heard: Heard,
): Promise<RunningChild> {
  const file = createWriteStream(join(options.folder, 'api.log'), { flags: 'w', mode: 0o600 })
  const keep = (line: string): void => {
    file.write(`${line}\n`)
    heard.log.push(line)
    if (heard.log.length > 20) heard.log.shift()
  }
  return startChild({
    name: 'api',
    script: fileURLToPath(new URL('../../api/server.ts', import.meta.url)),
    runFolder: options.runFolder,
    environment: bareEnvironment({
      LOG_LEVEL: 'warn',
      ...settingsOf([
        'LOG_LEVEL',
        'EMBEDDING_MODEL',
        'EMBEDDING_POOLING',
        'EMBEDDING_QUERY_PREFIX',
        'EMBEDDING_PASSAGE_PREFIX',
      ]),
      DATABASE_URL: options.readerUrl,
      API_ONLY_MODE: 'true',
      PORT: String(port),
      HOST: host,
      SNAPSHOT_PATH: join(options.folder, 'snapshot'),
      FALLBACK_REFRESH_SECONDS: '2',
    }),
    onStdoutLine: (line) => {
      keep(line)
      if (line.startsWith('http://') && line.endsWith(`:${port}`)) heard.listens = true
    },
    onStderrLine: keep,
  })
}

/** Ready: either the database or the index in memory answers. */
async function waitUntilReady(
  url: string,
  api: RunningChild,
  heard: Readonly<Heard>,
  signal: AbortSignal,
): Promise<void> {
  let ended = false
  void api.exited.then(() => (ended = true))
  const end = Date.now() + apiReadyMs
  while (Date.now() < end) {
    signal.throwIfAborted()
    if (ended) throw new HomeportError('API_START', `the api ended at once:\n${heard.log.join('\n')}`)
    // Until it has said that it listens, what answers there may be somebody else's api.
    const answer = heard.listens
      ? await fetch(new URL('/ready', url), { signal }).catch(() => undefined)
      : undefined
    if (answer?.ok === true) return
    await sleep(50)
  }
  throw new HomeportError(
    'API_START',
    `the api is not ready after ${apiReadyMs / 1000} s:\n${heard.log.join('\n')}`,
  )
}
