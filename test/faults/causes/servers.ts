import type { Test } from 'tap'
import { migrate } from '../../../core/migrate.ts'
import { createPair, withRole } from '../../replication/support.ts'
import { privateCluster } from '../../support/clusters.ts'
import { queryRows } from '../../support/databases.ts'
import type { Cause } from './support.ts'

/** What is wrong with a whole server; on one of its own. */
export async function serverCauses(t: Test): Promise<Cause[]> {
  const pair = await createPair(t)
  const cluster = await privateCluster(t)
  await queryRows(cluster.superuserUrl(), 'create database home')
  await migrate(cluster.superuserUrl('home'))
  const settings = (): Record<string, string> => ({
    LOCAL_DATABASE_URL: cluster.superuserUrl('home'),
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    DATABASE_URL: pair.readerUrl,
    REPLICATION_DATABASE_URL: withRole(cluster.superuserUrl('home'), 'replicator', 'secret'),
  })
  const restartWith = (name: string, value: string) => async () => {
    await queryRows(cluster.superuserUrl(), `alter system set ${name} = ${value}`)
    await cluster.stop()
    await cluster.start()
  }
  const setUp = { words: ['setup-replication'], settings: settings() }
  return [
    {
      name: 'wal_level is replica',
      make: restartWith('wal_level', 'replica'),
      run: setUp,
      code: 'WAL_LEVEL',
      message: /wal_level is replica/,
      fix: /alter system set wal_level = 'logical'/,
      exitCode: 2,
      undo: () => queryRows(cluster.superuserUrl(), 'alter system reset wal_level'),
    },
    {
      name: 'no slot is free',
      make: restartWith('max_replication_slots', '0'),
      run: setUp,
      code: 'TOO_FEW_SLOTS',
      message: /max_replication_slots is 0/,
      fix: /alter system set max_replication_slots = \d/,
      exitCode: 2,
      undo: () => queryRows(cluster.superuserUrl(), 'alter system reset max_replication_slots'),
    },
    {
      name: 'the primary is stopped',
      make: () => cluster.stop(),
      run: { words: ['status'], settings: settings() },
      code: 'DATABASE_UNREACHABLE',
      message: /LOCAL_DATABASE_URL: /,
      fix: /start the server, or correct .* in LOCAL_DATABASE_URL/,
      exitCode: 1,
    },
  ]
}
