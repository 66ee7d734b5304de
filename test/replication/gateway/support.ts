import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { Writable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { pino } from 'pino'
import type { Test } from 'tap'
import { connect } from '../../../core/db.ts'
import type { GatewayLimits, TlsFiles } from '../../../replication/gateway/app.ts'
import { startGateway, type Gateway } from '../../../replication/gateway/gateway.ts'
import type { Permission } from '../../../replication/gateway/keys.ts'
import { createKey } from '../../../replication/gateway/manage-keys.ts'
import {
  encodeEnvelopeHead,
  mediaTypes,
  type BatchInstructions,
} from '../../../replication/gateway/protocol.ts'
import { encodePart } from '../../../replication/relay/batch-codec.ts'
import type { BatchHeader } from '../../../replication/relay/batch.ts'
import type { CloudLink, Progress } from '../../../replication/relay/cloud-link.ts'

export const tokenSecret = 'a secret of at least thirty-two characters'

export interface TestGateway extends Gateway {
  /** what it logged so far */
  logged: () => string
}

/** A gateway in this process, over real HTTP, stopped after the test. */
export async function startTestGateway(
  t: Pick<Test, 'teardown'>,
  options: {
    databaseUrl: string
    cloud?: Partial<CloudLink>
    limits?: Partial<GatewayLimits>
    tls?: TlsFiles
  },
): Promise<TestGateway> {
  let logged = ''
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged += chunk.toString()
      done()
    },
  })
  const gateway = await startGateway({
    databaseUrl: options.databaseUrl,
    cloud: { ...absentCloud, ...options.cloud } as CloudLink,
    host: '127.0.0.1',
    port: 0,
    tokenSecret,
    tls: options.tls,
    log: pino({ level: 'trace' }, sink),
    limits: { failuresPerMinute: 100_000, ...options.limits },
  })
  t.teardown(() => gateway.stop())
  return { ...gateway, logged: () => logged }
}

/** A link that has nothing behind it; tests put their own operations over it. */
const absentCloud: Partial<CloudLink> = {
  name: 'direct',
  readProgress: () => Promise.resolve(null),
  seed: {
    begin: () => Promise.resolve(),
    ranges: () => Promise.resolve([]),
    copyRange: () => Promise.reject(new Error('no copy here')),
    finish: () => Promise.reject(new Error('no end here')),
  },
  close: () => Promise.resolve(),
}

export const someProgress: Progress = {
  slot: 'homeport',
  systemIdentifier: '7',
  timeline: 1,
  commitLsn: '0/10',
  endLsn: '0/20',
  sequence: '1',
  epoch: '1',
  state: 'following',
}

/** A key of a database, made as `ops keys create` makes it. */
export async function testKey(
  databaseUrl: string,
  permissions: readonly Permission[] = ['relay:read', 'relay:write'],
): Promise<{ id: string; key: string }> {
  const db = await connect({ connectionString: databaseUrl, applicationName: 'homeport test' })
  try {
    return await createKey(db, { client: 'home', permissions })
  } finally {
    await db.end()
  }
}

export interface Reply {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

/** One request; a body that is an object goes as JSON. */
export async function ask(
  url: string,
  options: {
    key?: string
    method?: string
    headers?: Record<string, string>
    json?: unknown
    bytes?: Buffer
  } = {},
): Promise<Reply> {
  const body = options.bytes ?? (options.json === undefined ? undefined : JSON.stringify(options.json))
  const response = await fetch(url, {
    method: options.method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
      ...(options.json === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body: body as string }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { text },
  }
}

export const someLease = { slot: 'homeport', epoch: '1', holder: 'relay-a' }

/** A part with nothing in it that an applier would look at. */
export function somePart(change: Partial<BatchHeader> = {}, frames: readonly Buffer[] = []): Buffer {
  return encodePart({
    header: {
      slot: 'homeport',
      systemIdentifier: '7',
      timeline: 1,
      after: '0/10',
      end: '0/20',
      commit: '0/18',
      transactions: 0,
      rows: 0,
      part: 0,
      isLastPart: true,
      ...change,
    },
    frames,
  })
}

export function envelope(content: Buffer, change: Partial<BatchInstructions> = {}): Buffer {
  const instructions = { lease: someLease, quarantine: false, parts: [], fetched: null, ...change }
  return Buffer.concat([encodeEnvelopeHead(instructions), content])
}

export const asBatch = { 'content-type': mediaTypes.batch }
export const asGzippedBatch = { ...asBatch, 'content-encoding': 'gzip' }
export const packed = (bytes: Buffer): Buffer => gzipSync(bytes, { level: 1 })

/** Sends bytes as they are; what came back until the other side hung up. */
export async function sendRaw(url: string, bytes: Buffer | string, end = false): Promise<string> {
  const socket = connectSocket(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.on('error', () => undefined)
  socket.on('data', (data) => (answer += data.toString()))
  if (end) socket.end(bytes)
  else socket.write(bytes)
  await once(socket, 'close')
  return answer
}
