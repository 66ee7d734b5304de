import type { AnyCommand } from '../../core/cli.ts'

/** Every command of `ops`, in the order of its help. Each is loaded when it is needed: together they take half a second. */
const commands: Readonly<Record<string, () => Promise<AnyCommand>>> = {
  migrate: async () => (await import('./migrate.ts')).migrateCommand,
  schema: async () => (await import('./schema.ts')).schemaCommand,
  'setup-replication': async () => (await import('./setup-replication.ts')).setupReplicationCommand,
  reseed: async () => (await import('./reseed.ts')).reseedCommand,
  'teardown-replication': async () => (await import('./teardown-replication.ts')).teardownReplicationCommand,
  promote: async () => (await import('./promote.ts')).promoteCommand,
  relay: async () => (await import('./relay.ts')).relayCommand,
  monitor: async () => (await import('./monitor.ts')).monitorCommand,
  verify: async () => (await import('./verify.ts')).verifyCommand,
  repair: async () => (await import('./repair.ts')).repairCommand,
  status: async () => (await import('./status.ts')).statusCommand,
  index: async () => (await import('./vector-index.ts')).indexCommand,
  gateway: async () => (await import('./gateway.ts')).gatewayCommand,
  keys: async () => (await import('./keys.ts')).keysCommand,
}

/** The command that the words call, or all of them where they call none: for the help, and to name what was meant. */
export async function loadCommands(argv: readonly string[]): Promise<readonly AnyCommand[]> {
  const named = Object.entries(commands).filter(([name]) => name === argv[0])
  const wanted = named.length > 0 ? named : Object.entries(commands)
  return Promise.all(wanted.map(([, load]) => load()))
}
