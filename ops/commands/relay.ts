import { defineCommand, wholeNumber, type Output } from '../../core/cli.ts'
import { choiceSetting, databaseUrl, integerSetting, requiredSetting, setting } from '../../core/config.ts'
import { HomeportError } from '../../core/errors.ts'
import { createLog } from '../../core/log.ts'
import { runRelay, type RelayOutcome, type RunRelayOptions } from '../../replication/relay/run.ts'

interface Options {
  transport: string
  quarantine?: boolean
  untilCaughtUp?: boolean
  fallBackSeconds: number
  probeSeconds: number
  leaseSeconds: number
}

const ways = ['auto', 'direct', 'gateway'] as const

export const relayCommand = defineCommand<Options>({
  name: 'relay',
  summary: 'Push every committed change to the cloud: once, in order, whole',
  details:
    'Runs at home until it is stopped. Reads the slot with REPLICATION_DATABASE_URL and writes with RELAY_DATABASE_URL\n' +
    '(direct) or through PRODUCTION_API_URL and PRODUCTION_API_KEY (gateway); with both, direct first. A cloud or a\n' +
    'primary that is away is waited for. What it cannot go on from it says, with the command that helps, here, in\n' +
    'ops status, in the status file and in /health of the gateway, and ends with exit code 1; 2 for configuration.\n' +
    'Health and metrics on 127.0.0.1:RELAY_PORT. SIGTERM ends it in less than 10 seconds, with exit code 0.\n' +
    'With --json, at the end: {"reason": "stopped"|"caughtUp", "slot", "endLsn", "transport", "batches", "rows", "resolved",\n' +
    '"quarantined", "spooled", "seconds"}. The log is on stderr, one line of JSON an event.',
  examples: [
    ['relay', 'push until it is stopped, by whichever way works'],
    ['relay --transport gateway', 'only over HTTPS'],
    ['relay --until-caught-up --json', 'push what there is, then end: for cron and scripts'],
    ['relay --quarantine', 'put rows aside that the cloud refuses, and go on; ops status shows them'],
  ],
  configure: (command) =>
    command
      .option('--transport <way>', `which way: ${ways.join(', ')}`, 'auto')
      .option('--quarantine', 'record a row that the cloud refuses with both images, and go on')
      .option('--until-caught-up', 'end when the cloud has everything that was committed at the start')
      .option(
        '--fall-back-seconds <seconds>',
        'direct may fail so long before the gateway takes over',
        wholeNumber({ min: 0, max: 86_400 }),
        15,
      )
      .option(
        '--probe-seconds <seconds>',
        'time until direct is looked at again; doubles up to ten times that',
        wholeNumber({ min: 1, max: 86_400 }),
        30,
      )
      .option(
        '--lease-seconds <seconds>',
        'another relay may take over when nothing was heard for so long',
        wholeNumber({ min: 3, max: 3600 }),
        30,
      ),
  async run({ options, out, signal, json }) {
    const isTerminal = process.stderr.isTTY === true
    const log = createLog({
      name: 'relay',
      // On a terminal the live line and the remarks say it.
      level:
        isTerminal && setting('LOG_LEVEL') === undefined
          ? 'warn'
          : choiceSetting('LOG_LEVEL', ['info', 'trace', 'debug', 'warn', 'error', 'silent']),
    })
    const outcome = await runRelay({
      ...relaySettings(options),
      signal,
      log,
      ...(isTerminal && !json
        ? { onNote: (text) => out.note(text), onProgress: (text) => out.progress(text) }
        : {}),
    })
    printOutcome(out, outcome)
    return 0
  },
})

type Settings = Omit<RunRelayOptions, 'signal' | 'log' | 'onNote' | 'onProgress'>

/** @throws HomeportError CONFIG_MISSING, CONFIG_INVALID or USAGE, exit 2. */
function relaySettings(options: Options): Settings {
  const transport = ways.find((way) => way === options.transport)
  if (transport === undefined) {
    throw new HomeportError('USAGE', `--transport is ${options.transport}, and not ${ways.join(', ')}`, {
      hint: 'ops relay --help',
      exitCode: 2,
    })
  }
  const wants = (way: 'direct' | 'gateway', name: 'RELAY_DATABASE_URL' | 'PRODUCTION_API_URL'): boolean =>
    transport === way || (transport === 'auto' && setting(name) !== undefined)
  const direct = wants('direct', 'RELAY_DATABASE_URL')
  const gateway = wants('gateway', 'PRODUCTION_API_URL')
  if (!direct && !gateway) {
    throw new HomeportError('CONFIG_MISSING', 'neither RELAY_DATABASE_URL nor PRODUCTION_API_URL is set', {
      hint: 'RELAY_DATABASE_URL is the cloud straight, PRODUCTION_API_URL and PRODUCTION_API_KEY the gateway: see .env.example',
      exitCode: 2,
    })
  }
  const primaryDataFolder = setting('RELAY_PRIMARY_DATA')
  return {
    primaryUrl: databaseUrl('REPLICATION_DATABASE_URL'),
    ...(direct ? { cloudUrl: databaseUrl('RELAY_DATABASE_URL') } : {}),
    ...(gateway
      ? {
          gateway: {
            url: requiredSetting('PRODUCTION_API_URL'),
            apiKey: requiredSetting('PRODUCTION_API_KEY'),
          },
        }
      : {}),
    statePath: setting('RELAY_STATE_PATH') ?? 'data/relay',
    port: integerSetting('RELAY_PORT', { byDefault: 9187, min: 0, max: 65_535 }),
    maxSegments: integerSetting('RELAY_BATCH_SEGMENTS', { byDefault: 100, min: 1, max: 100_000 }),
    walShare: integerSetting('RELAY_WAL_SHARE', { byDefault: 50, min: 1, max: 100 }) / 100,
    ...(primaryDataFolder === undefined ? {} : { primaryDataFolder }),
    quarantine: options.quarantine === true,
    untilCaughtUp: options.untilCaughtUp === true,
    fallBackAfterMs: options.fallBackSeconds * 1000,
    probeMs: options.probeSeconds * 1000,
    leaseSeconds: options.leaseSeconds,
  }
}

function printOutcome(out: Output, outcome: RelayOutcome): void {
  const { reason, rows, batches, endLsn } = outcome
  const what = reason === 'caughtUp' ? 'The cloud has caught up' : 'Stopped'
  out.result(
    outcome,
    `${what}: ${rows} rows in ${batches} batches; the cloud is at ${endLsn ?? 'an unknown position'}.`,
  )
}
