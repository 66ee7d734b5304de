import type { AnyCommand } from '../../core/cli.ts'
import { migrateCommand } from './migrate.ts'
import { monitorCommand } from './monitor.ts'
import { setupReplicationCommand } from './setup-replication.ts'
import { statusCommand } from './status.ts'
import { teardownReplicationCommand } from './teardown-replication.ts'
import { indexCommand } from './vector-index.ts'

/** Every command of `ops`, in the order of its help. */
export const opsCommands: readonly AnyCommand[] = [
  migrateCommand,
  setupReplicationCommand,
  teardownReplicationCommand,
  monitorCommand,
  statusCommand,
  indexCommand,
]
