import { identifier } from '../../../core/sql.ts'
import type { PgoutputProtocol } from '../../pgoutput/decode.ts'

export interface StartCommand {
  slot: string
  publication: string
  startLsn: string
  protocol: PgoutputProtocol
  /** columns as their types send them; the server falls back to text where a type cannot */
  binary: boolean
}

/** The newest protocol that a server speaks; `server_version_num` decides. */
export function chooseProtocol(serverVersion: number): PgoutputProtocol {
  if (serverVersion >= 160_000) return 4
  if (serverVersion >= 150_000) return 3
  return serverVersion >= 140_000 ? 2 : 1
}

/**
 * START_REPLICATION with pgoutput's options. Large transactions are streamed before they commit (`on`, not `parallel`,
 * whose aborts say more than we use), so that the primary need not keep them; two-phase decoding is never asked for.
 */
export function renderStartCommand(command: StartCommand): string {
  const options = [
    `proto_version ${quote(String(command.protocol))}`,
    // Split at commas and folded to lower case by the server unless quoted as an identifier.
    `publication_names ${quote(identifier(command.publication).sql)}`,
    `binary ${quote(String(command.binary))}`,
    `messages 'true'`,
    ...(command.protocol >= 2 ? [`streaming 'on'`] : []),
  ]
  const slot = identifier(command.slot).sql
  return `START_REPLICATION SLOT ${slot} LOGICAL ${command.startLsn} (${options.join(', ')})`
}

/** The replication grammar knows no backslashes and no E'' strings. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
