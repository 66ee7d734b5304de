import type { AnyCommand } from '../../core/cli.ts'
import { gatewayCommand } from './gateway.ts'
import { keysCommand } from './keys.ts'
import { migrateCommand } from './migrate.ts'
import { monitorCommand } from './monitor.ts'
import { reseedCommand } from './reseed.ts'
import { relayCommand } from './relay.ts'
import { setupReplicationCommand } from './setup-replication.ts'
import { statusCommand } from './status.ts'
import { teardownReplicationCommand } from './teardown-replication.ts'
import { indexCommand } from './vector-index.ts'

/** Every command of `ops`, in the order of its help. */
export const opsCommands: readonly AnyCommand[] = [
  migrateCommand,
  setupReplicationCommand,
  reseedCommand,
  teardownReplicationCommand,
  relayCommand,
  monitorCommand,
  statusCommand,
  indexCommand,
  gatewayCommand,
  keysCommand,
]
