import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What `npm test` leaves to `npm run test:faults`, so that it stays quick on two cores: the same ground at more
 * seeds, or through more processes, than a quick test of its room that stays.
 */
export const slowTests: readonly string[] = [
  'test/e2e/ingest-crash.test.ts',
  'test/faults/acknowledge.test.ts',
  'test/faults/causes.test.ts',
  'test/faults/cloud.test.ts',
  'test/faults/gateway.test.ts',
  'test/faults/large-transaction.test.ts',
  'test/faults/migrate.test.ts',
  'test/faults/native-schema.test.ts',
  'test/faults/network.test.ts',
  'test/faults/pooler.test.ts',
  'test/faults/primary.test.ts',
  'test/faults/promote-loss.test.ts',
  'test/faults/promote-native.test.ts',
  'test/faults/promote-owners.test.ts',
  'test/faults/promote-rivals.test.ts',
  'test/faults/promote.test.ts',
  'test/faults/repair.test.ts',
  'test/faults/rivals.test.ts',
  'test/faults/schema-under-load.test.ts',
  'test/faults/schema.test.ts',
  'test/faults/shutdown.test.ts',
  'test/faults/spool.test.ts',
  'test/faults/versions.test.ts',
  'test/ops/commands/monitor.test.ts',
  'test/ops/commands/promote.test.ts',
  'test/ops/commands/relay-replication.test.ts',
  'test/ops/commands/status.test.ts',
  'test/replication/gateway/bodies.test.ts',
  'test/replication/gateway/network.test.ts',
  'test/replication/gateway/parts.test.ts',
  'test/replication/gateway/process.test.ts',
  'test/replication/monitor/lock.test.ts',
  'test/replication/monitor/run-trouble.test.ts',
  'test/replication/monitor/run.test.ts',
  'test/replication/relay/apply/interruption.test.ts',
  'test/replication/relay/apply/roles.test.ts',
  'test/replication/relay/apply/schema.test.ts',
  'test/replication/relay/apply/workload.test.ts',
  'test/replication/relay/apply/younger-copy.test.ts',
  'test/replication/relay/run-spool.test.ts',
  'test/replication/relay/run.test.ts',
  'test/replication/relay/seed/interrupted.test.ts',
  'test/replication/relay/seed/kill.test.ts',
  'test/replication/relay/setup/own-primary.test.ts',
  'test/replication/relay/setup/owner.test.ts',
  'test/replication/relay/setup/refusals.test.ts',
  'test/replication/relay/setup/reseed.test.ts',
  'test/replication/relay/setup/via-gateway.test.ts',
  'test/replication/relay/spool/spool-crash.test.ts',
  'test/replication/relay/spool/spool-damage.test.ts',
  'test/replication/relay/stream/refusals.test.ts',
  'test/replication/relay/stream/shutdown.test.ts',
  'test/replication/relay/stream/silent.test.ts',
  'test/replication/relay/stream/slow-consumer.test.ts',
  'test/replication/relay/wal-budget-postgres.test.ts',
  'test/replication/repair/repair.test.ts',
  'test/replication/schema-diff.test.ts',
  'test/replication/verify/checkpoint-servers.test.ts',
  'test/replication/verify/fence.test.ts',
  'test/replication/verify/incremental.test.ts',
  'test/replication/verify/mutations.test.ts',
  'test/replication/verify/native.test.ts',
  'test/replication/verify/relay.test.ts',
]

/** Every other test file below `folder`, as paths from there. */
export function quickTests(folder: string): string[] {
  return testFilesBelow(folder, 'test').filter((file) => !slowTests.includes(file))
}

/** Test files by name, and all those below a folder. @throws for a name that is neither. */
export function testFilesOf(folder: string, names: readonly string[]): string[] {
  return names.flatMap((name) =>
    statSync(join(folder, name)).isDirectory() ? testFilesBelow(folder, name) : [name],
  )
}

/** What a test with servers, processes or settings of its own imports or names. */
const ownProcess =
  /from '[^']*(?:support|fixture|child_process|worker_threads|cluster|\/pair)[^']*'|process\.(?:env|exit|on)\b/

/** Parts test files into those that need a process of their own and those that may share one: starting it is most of their time. */
export function groupTests(files: readonly string[]): { alone: string[]; together: string[] } {
  const alone = files.filter((file) => ownProcess.test(readFileSync(file, 'utf8')))
  const together = files.filter((file) => !alone.includes(file))
  return together.length < 3 ? { alone: [...files], together: [] } : { alone, together }
}

function testFilesBelow(folder: string, below: string): string[] {
  return readdirSync(join(folder, below), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join(below, file))
    .sort()
}
