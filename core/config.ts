import { HomeportError } from './errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Every setting Homeport reads from the environment; the README's table is checked against this list. */
export const settings = {
  LOCAL_DATABASE_URL: 'the primary, at home: ingest writes here',
  PRODUCTION_DATABASE_URL: 'the cloud, as the owner of its tables: ops works here',
  DATABASE_URL: 'the cloud, as the read-only role: the api reads here; ops creates this role',
  REPLICATION_DATABASE_URL:
    'the primary as the cloud reaches it (or the relay, from home), with the replication role; ops creates it',
  RELAY_DATABASE_URL: 'the cloud as the relay writes there; ops creates this role',
  GATEWAY_DATABASE_URL:
    'the cloud as the gateway writes there, set on the cloud machine; ops creates this role',
  PRODUCTION_API_URL: 'the gateway, as the relay reaches it over HTTPS',
  PRODUCTION_API_KEY: 'what the relay shows the gateway; ops keys makes one',
  GATEWAY_PORT: 'the gateway listens here (default 8090)',
  GATEWAY_HOST: 'the gateway listens on this address (default 127.0.0.1)',
  GATEWAY_JWT_SECRET:
    'signs the short-lived tokens of the gateway; 32 characters or more; without it there are none',
  RELAY_STATE_PATH: 'where the relay keeps its spool and what it was doing (default data/relay)',
  RELAY_PORT: 'health and metrics of the relay, on 127.0.0.1 (default 9187; 0 is any free port)',
  RELAY_BATCH_SEGMENTS: 'segments a batch over HTTPS (default 100)',
  RELAY_WAL_SHARE: 'percent of the log budget at which the relay begins to spool (default 50)',
  RELAY_PRIMARY_DATA:
    "folder of the primary's data on this machine, where its role may not ask for it: to see the disk",
  API_ONLY_MODE: 'true on the cloud machine: every ingest command refuses',
  ENABLE_INGESTION: 'false makes every ingest command refuse; shown in /health',
  MONITOR_VERIFY_SCHEDULE:
    'when ops monitor compares the content, as cron writes it (default 0 * * * *, hourly)',
  MONITOR_STATE_PATH: 'where ops monitor keeps its history (default data/monitor)',
  VERIFY_STATE_PATH: 'where ops verify keeps how far it came (default data/verify)',
  MONITOR_KEEP_DAYS: 'days that this history is kept (default 30)',
  MONITOR_PORT: 'page, health and metrics of ops monitor, on 127.0.0.1 (default 9188; 0 is any free port)',
  MONITOR_PING_URL:
    'asked for after every comparison that found all well, for a watch such as healthchecks.io',
  ALERT_WEBHOOK_URL:
    'alerts go there as JSON with a text, as the incoming webhooks of Slack take it; a secret',
  ALERT_COMMAND:
    'is started for each alert, with it as JSON on stdin: words, or a JSON array of them; no shell',
  EMBEDDING_MODEL: 'lsa (default, lexical, no download), or a sentence model: a local folder or a hub name',
  EMBEDDING_POOLING: 'mean (default), cls or last: how a sentence model makes one vector',
  EMBEDDING_QUERY_PREFIX: 'put before a question, where the model was trained with one',
  EMBEDDING_PASSAGE_PREFIX: 'put before a segment, where the model was trained with one',
  EMBEDDING_BATCH: 'segments a batch for a sentence model (default 32)',
  PORT: 'the api listens here (default 8080)',
  HOST: 'the api listens on this address (default 127.0.0.1)',
  TRUST_PROXY: 'addresses of the proxies in front of the api, comma separated; none by default',
  RATE_LIMIT_PER_MINUTE: 'requests a minute and address (default 300)',
  SNAPSHOT_PATH: 'where the api keeps its in-memory index between starts (default data/snapshot)',
  FALLBACK_REFRESH_SECONDS: 'how often the in-memory index follows the cloud (default 10)',
  FALLBACK_ENGINE: 'auto (default: FAISS where its addon is built, else scan), faiss or scan',
  ALLOW_WRITABLE_ROLE: 'true lets the api run with a role that can write; shown in /health',
  HOMEPORT_PG_BIN: 'folder of initdb and postgres for the private clusters of npm start and npm test',
  LOG_LEVEL: 'trace, debug, info (default), warn, error or silent',
} as const

export type SettingName = keyof typeof settings

const environment: Environment = process.env

/** A setting's text, or undefined when it is unset or empty. */
export function setting(name: SettingName, env: Environment = environment): string | undefined {
  const value = env[name]?.trim()
  return value === undefined || value === '' ? undefined : value
}

/** A setting's text to the letter, spaces at its ends included; empty when it is unset. */
export function textSetting(name: SettingName, env: Environment = environment): string {
  return env[name] ?? ''
}

/** @throws HomeportError CONFIG_MISSING, exit 2, that names the setting and what it is for. */
export function requiredSetting(name: SettingName, env: Environment = environment): string {
  const value = setting(name, env)
  if (value === undefined) {
    throw new HomeportError('CONFIG_MISSING', `${name} is not set (${settings[name]})`, {
      hint: `export ${name}=... or put it into .env (see .env.example)`,
      exitCode: 2,
    })
  }
  return value
}

/** true/1/yes/on or false/0/no/off. @throws HomeportError CONFIG_INVALID, exit 2. */
export function booleanSetting(
  name: SettingName,
  byDefault: boolean,
  env: Environment = environment,
): boolean {
  const value = setting(name, env)?.toLowerCase()
  if (value === undefined) return byDefault
  if (['true', '1', 'yes', 'on'].includes(value)) return true
  if (['false', '0', 'no', 'off'].includes(value)) return false
  throw invalid(name, 'true or false')
}

export interface NumberRange {
  byDefault: number
  min: number
  max: number
}

/** A whole number in a range. @throws HomeportError CONFIG_INVALID, exit 2. */
export function integerSetting(
  name: SettingName,
  range: NumberRange,
  env: Environment = environment,
): number {
  const value = setting(name, env)
  if (value === undefined) return range.byDefault
  const number = Number(value)
  if (!Number.isInteger(number) || number < range.min || number > range.max) {
    throw invalid(name, `a whole number from ${range.min} to ${range.max}`)
  }
  return number
}

/** One of a few words. @throws HomeportError CONFIG_INVALID, exit 2. */
export function choiceSetting<T extends string>(
  name: SettingName,
  choices: readonly [T, ...T[]],
  env: Environment = environment,
): T {
  const value = setting(name, env)
  if (value === undefined) return choices[0]
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw invalid(name, choices.join(', '))
  return found
}

/** A Postgres URL. @throws HomeportError CONFIG_MISSING or CONFIG_INVALID, exit 2, without the value. */
export function databaseUrl(name: SettingName, env: Environment = environment): string {
  const value = requiredSetting(name, env)
  if (!/^postgres(ql)?:\/\//.test(value) || !URL.canParse(value)) {
    throw invalid(name, 'a URL like postgres://user:password@host:5432/database')
  }
  return value
}

function invalid(name: SettingName, wanted: string): HomeportError {
  return new HomeportError('CONFIG_INVALID', `${name} is not ${wanted}`, {
    hint: `see ${name} in .env.example`,
    exitCode: 2,
  })
}

/**
 * The environment of a process that needs nothing of ours: where programs, libraries and temporary
 * files are, and what the caller adds. No connection string, no key.
 */
export function bareEnvironment(
  added: Readonly<Record<string, string>>,
  env: Environment = environment,
): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'SystemRoot']
  const found = kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]))
  return { ...Object.fromEntries(found), ...added }
}

/** These settings as they are set: for a child that is to run with the same ones. */
export function settingsOf(
  names: readonly SettingName[],
  env: Environment = environment,
): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))
}

/** What npm says about the script that it runs; `script` is absent when it was not npm that started us. */
export function npmRun(env: Environment = environment): { script: string | undefined; folder: string } {
  return { script: env['npm_lifecycle_script'], folder: env['INIT_CWD'] ?? '.' }
}
