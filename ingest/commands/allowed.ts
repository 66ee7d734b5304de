import { booleanSetting, databaseUrl } from '../../core/config.ts'
import { HomeportError } from '../../core/errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Refuses to write on a machine that only serves.
 *
 * @throws HomeportError INGEST_DISABLED, exit 2, which names the setting.
 */
export function assertIngestAllowed(env?: Environment): void {
  if (booleanSetting('API_ONLY_MODE', false, env)) {
    throw refused('API_ONLY_MODE is true: this machine only serves what is made at home', 'API_ONLY_MODE')
  }
  if (!booleanSetting('ENABLE_INGESTION', true, env)) {
    throw refused('ENABLE_INGESTION is false', 'ENABLE_INGESTION')
  }
}

function refused(reason: string, name: string): HomeportError {
  return new HomeportError('INGEST_DISABLED', `nothing is ingested here: ${reason}`, {
    hint: `run it on the machine at home, or unset ${name} if this is it`,
    exitCode: 2,
  })
}

/** The primary's URL: the option when it is given, else LOCAL_DATABASE_URL. */
export function primaryUrl(option: string | undefined): string {
  if (option === undefined) return databaseUrl('LOCAL_DATABASE_URL')
  return databaseUrl('LOCAL_DATABASE_URL', { LOCAL_DATABASE_URL: option })
}
