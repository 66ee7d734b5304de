import type pg from 'pg'
import { connect } from '../../core/db.ts'
import { decodeMessage, type PgoutputProtocol } from '../../replication/pgoutput/decode.ts'
import type { PgoutputMessage } from '../../replication/pgoutput/messages.ts'

export interface SessionOptions {
  slot: string
  publication: string
  protocol: PgoutputProtocol
  binary?: boolean
  /** `parallel` needs protocol 4 */
  streaming?: 'off' | 'on' | 'parallel'
}

export interface ReceivedMessage {
  bytes: Buffer
  inStream: boolean
  message: PgoutputMessage
}

/** The protocols and ways to stream that a server offers, from the plainest on. */
export async function offeredSessions(
  db: pg.ClientBase,
): Promise<Required<Pick<SessionOptions, 'protocol' | 'streaming'>>[]> {
  const { rows } = await db.query<{ version: number }>(
    `select current_setting('server_version_num')::integer as version`,
  )
  return [
    { protocol: 1, streaming: 'off' },
    { protocol: 2, streaming: 'on' },
    { protocol: 3, streaming: 'on' },
    ...((rows[0]?.version ?? 0) < 160_000
      ? []
      : ([
          { protocol: 4, streaming: 'on' },
          { protocol: 4, streaming: 'parallel' },
        ] as const)),
  ]
}

/** Takes everything that waits in a slot, as a session with these options would get it, and decodes it. */
export async function takeChanges(
  connectionString: string,
  options: SessionOptions,
): Promise<ReceivedMessage[]> {
  const db = await connect({
    connectionString,
    applicationName: 'homeport test',
    // The least there is, so that a transaction of some hundred rows is streamed.
    sessionSettings: { logical_decoding_work_mem: '64kB' },
  })
  try {
    const { rows } = await db.query<{ data: Buffer }>(
      `select data from pg_logical_slot_get_binary_changes($1, null, null, variadic $2::text[])`,
      [options.slot, pluginOptions(options)],
    )
    return decodeAll(
      rows.map((row) => row.data),
      options.protocol,
    )
  } finally {
    await db.end()
  }
}

function pluginOptions({ publication, protocol, binary, streaming }: SessionOptions): string[] {
  const named = {
    proto_version: String(protocol),
    publication_names: `"${publication}"`,
    messages: 'true',
    binary: String(binary ?? false),
    // Sessions of protocol 1 do not know the option.
    ...(streaming === undefined || streaming === 'off' ? {} : { streaming }),
  }
  return Object.entries(named).flat()
}

function decodeAll(frames: readonly Buffer[], protocol: PgoutputProtocol): ReceivedMessage[] {
  let inStream = false
  return frames.map((bytes) => {
    const message = decodeMessage(bytes, { inStream, protocol })
    const received = { bytes, inStream, message }
    if (message.type === 'streamStart') inStream = true
    if (message.type === 'streamStop') inStream = false
    return received
  })
}
