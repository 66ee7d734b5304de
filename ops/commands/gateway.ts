import { readFileSync } from 'node:fs'
import { defineCommand } from '../../core/cli.ts'
import { choiceSetting, databaseUrl, integerSetting, setting } from '../../core/config.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { createLog } from '../../core/log.ts'
import type { TlsFiles } from '../../replication/gateway/app.ts'
import { gatewayApplicationName, startGateway } from '../../replication/gateway/gateway.ts'
import { openDirectLink } from '../../replication/relay/direct-link.ts'
import { directSeed } from '../../replication/relay/seed/direct-seed.ts'

interface Options {
  tlsCert?: string
  tlsKey?: string
}

const tokenSecretLength = 32

export const gatewayCommand = defineCommand<Options>({
  name: 'gateway',
  summary: "Run the HTTPS end of the relay beside the cloud's Postgres",
  details:
    'For homes that may not reach port 5432 of the cloud. Needs GATEWAY_DATABASE_URL, which ops setup-replication\n' +
    '--mode relay makes a role for, and nothing else; ops keys create makes the key of the relay. Listens on\n' +
    'GATEWAY_HOST and GATEWAY_PORT, plain behind a proxy that speaks TLS, or with --tls-cert and --tls-key itself.\n' +
    '/live and /health are open; all else needs a key. Runs until it is stopped; the log is on stderr.\n' +
    'With --json: {"url"} once it listens.',
  examples: [
    ['gateway', 'behind the TLS of a container host'],
    ['gateway --tls-cert cert.pem --tls-key key.pem', 'on a machine of its own'],
  ],
  configure: (command) =>
    command
      .option('--tls-cert <file>', 'certificate and chain, PEM')
      .option('--tls-key <file>', 'its key, PEM'),
  async run({ options, out, signal }) {
    const log = createLog({
      name: 'gateway',
      level: choiceSetting('LOG_LEVEL', ['info', 'trace', 'debug', 'warn', 'error', 'silent']),
    })
    const url = databaseUrl('GATEWAY_DATABASE_URL')
    const settings = {
      host: setting('GATEWAY_HOST') ?? '127.0.0.1',
      port: integerSetting('GATEWAY_PORT', { byDefault: 8090, min: 0, max: 65_535 }),
      tokenSecret: tokenSecret(),
      tls: tlsFiles(options),
      log,
    }
    const cloud = openDirectLink({
      connectionString: url,
      seed: directSeed,
      log,
      applicationName: gatewayApplicationName,
      side: 'gateway',
    })
    try {
      const gateway = await startGateway({ ...settings, databaseUrl: url, cloud })
      out.result({ url: gateway.url }, gateway.url)
      if (!signal.aborted) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      }
      log.info('stopping')
      await gateway.stop()
      return 0
    } finally {
      await cloud.close()
    }
  },
})

function tokenSecret(): string | undefined {
  const secret = setting('GATEWAY_JWT_SECRET')
  if (secret === undefined || secret.length >= tokenSecretLength) return secret
  throw new HomeportError(
    'CONFIG_INVALID',
    `GATEWAY_JWT_SECRET has fewer than ${tokenSecretLength} characters`,
    {
      hint: 'openssl rand -hex 32 makes one; without it the gateway makes no tokens',
      exitCode: 2,
    },
  )
}

function tlsFiles(options: Options): TlsFiles | undefined {
  const { tlsCert, tlsKey } = options
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new HomeportError('USAGE', '--tls-cert and --tls-key go together', {
      hint: 'ops gateway --tls-cert cert.pem --tls-key key.pem',
      exitCode: 2,
    })
  }
  return { cert: readPem(tlsCert), key: readPem(tlsKey) }
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new HomeportError('CONFIG_INVALID', `${file} cannot be read (${errorCode(error) ?? 'unknown'})`, {
      hint: 'name a PEM file that this user may read',
      exitCode: 2,
      cause: error,
    })
  }
}
