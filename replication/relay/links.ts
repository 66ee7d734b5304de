import { HomeportError } from '../../core/errors.ts'
import type { CloudLink } from './cloud-link.ts'
import { openDirectLink } from './direct-link.ts'
import { openGatewayLink } from './gateway-link.ts'
import { relayApplicationName } from './primary-side.ts'
import type { RunRelayOptions } from './run.ts'
import { directSeed } from './seed/direct-seed.ts'
import type { Transport } from './transport-choice.ts'

export interface Links {
  open: Readonly<Partial<Record<Transport, () => CloudLink>>>
  /** in the order in which they are tried */
  available: readonly Transport[]
}

/** The ways that have a setting. Nothing is connected yet. @throws HomeportError CONFIG_MISSING or CONFIG_INVALID, exit 2. */
export function findLinks(options: Pick<RunRelayOptions, 'cloudUrl' | 'gateway' | 'log'>): Links {
  const { cloudUrl, gateway, log } = options
  const openGateway =
    gateway === undefined ? undefined : (): CloudLink => openGatewayLink({ ...gateway, log })
  // A URL that is not one is a mistake now, not when direct fails.
  void openGateway?.().close()
  const openDirect =
    cloudUrl === undefined
      ? undefined
      : (): CloudLink =>
          openDirectLink({
            connectionString: cloudUrl,
            seed: directSeed,
            log,
            applicationName: relayApplicationName,
          })
  const open = {
    ...(openDirect === undefined ? {} : { direct: openDirect }),
    ...(openGateway === undefined ? {} : { gateway: openGateway }),
  }
  const available = (['direct', 'gateway'] as const).filter((way) => open[way] !== undefined)
  if (available.length > 0) return { open, available }
  throw new HomeportError('CONFIG_MISSING', 'the relay has no way to the cloud', {
    hint: 'set RELAY_DATABASE_URL, or PRODUCTION_API_URL and PRODUCTION_API_KEY',
    exitCode: 2,
  })
}
