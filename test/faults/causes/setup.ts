import type { Test } from 'tap'
import { choosePort } from '../../../ops/local/ports.ts'
import { createPair, withRole } from '../../replication/support.ts'
import { queryRows, uniqueName } from '../../support/databases.ts'
import { testClusters } from '../../support/clusters.ts'
import type { Cause } from './support.ts'

/** What is wrong before anything replicates: addresses, roles, databases. */
export async function setupCauses(t: Test): Promise<Cause[]> {
  const pair = await createPair(t)
  const settings = {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    DATABASE_URL: pair.readerUrl,
    REPLICATION_DATABASE_URL: pair.replicationUrl,
  }
  const { cloud: cloudCluster } = await testClusters()
  const odd = uniqueName('odd')
  const closed = new URL(pair.cloudUrl)
  closed.port = String(await choosePort())
  const closedHome = new URL(pair.replicationUrl)
  closedHome.port = closed.port
  const reader = new URL(pair.readerUrl).username
  const onCloud = (sql: string) => () => queryRows(pair.cloudUrl, sql)
  const setUp = ['setup-replication']
  const withoutPrimary = { PRODUCTION_DATABASE_URL: pair.cloudUrl }
  return [
    {
      name: 'a setting is missing',
      run: { words: ['status'], settings: withoutPrimary },
      code: 'CONFIG_MISSING',
      message: /LOCAL_DATABASE_URL is not set/,
      fix: /export LOCAL_DATABASE_URL=/,
      exitCode: 2,
    },
    {
      name: 'the cloud cannot be reached',
      run: { words: ['status'], settings: { ...settings, PRODUCTION_DATABASE_URL: closed.href } },
      code: 'DATABASE_UNREACHABLE',
      message: /PRODUCTION_DATABASE_URL: .*nothing listens there/,
      fix: /start the server, or correct host and port in PRODUCTION_DATABASE_URL/,
      exitCode: 1,
    },
    {
      name: 'a wrong password',
      run: {
        words: ['migrate'],
        settings: { ...settings, PRODUCTION_DATABASE_URL: withRole(pair.cloudUrl, 'nobody', 'wrong') },
      },
      code: 'DATABASE_UNREACHABLE',
      message: /the password is wrong/,
      fix: /correct the password in PRODUCTION_DATABASE_URL/,
      exitCode: 1,
    },
    {
      name: 'the database does not exist',
      run: {
        words: ['monitor', '--once'],
        settings: { ...settings, PRODUCTION_DATABASE_URL: cloudCluster.superuserUrl('nowhere') },
      },
      code: 'DATABASE_UNREACHABLE',
      message: /the database does not exist/,
      fix: /createdb it, or correct the name in PRODUCTION_DATABASE_URL/,
      exitCode: 1,
    },
    {
      name: 'the same URL for both',
      run: { words: ['migrate'], settings: { ...settings, PRODUCTION_DATABASE_URL: pair.primaryUrl } },
      code: 'SAME_SERVER',
      message: /are the same database/,
      fix: /PRODUCTION_DATABASE_URL/,
      exitCode: 2,
    },
    {
      name: 'an encoding that cannot hold every transcript',
      make: () =>
        queryRows(
          cloudCluster.superuserUrl(),
          `create database ${odd} encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0`,
        ),
      run: {
        words: ['migrate'],
        settings: { ...settings, PRODUCTION_DATABASE_URL: cloudCluster.superuserUrl(odd) },
      },
      code: 'DATABASE_ENCODING',
      message: /encoding of the database is SQL_ASCII/,
      fix: /createdb --encoding UTF8/,
      exitCode: 2,
      undo: () => queryRows(cloudCluster.superuserUrl(), `drop database ${odd} with (force)`),
    },
    {
      name: 'the cloud would read text as another encoding',
      make: onCloud(
        `do $$ begin execute format('alter database %I set client_encoding = latin1', current_database()); end $$`,
      ),
      run: { words: setUp, settings },
      code: 'CLIENT_ENCODING',
      message: /client_encoding is set to latin1/,
      fix: /reset client_encoding/,
      exitCode: 2,
      undo: onCloud(
        `do $$ begin execute format('alter database %I reset client_encoding', current_database()); end $$`,
      ),
    },
    {
      name: 'the reader can write',
      make: onCloud(`create role ${reader} login; grant pg_write_all_data to ${reader}`),
      run: { words: setUp, settings },
      code: 'ROLE_TOO_POWERFUL',
      message: /the role .* of DATABASE_URL is a member of pg_write_all_data/,
      fix: /give DATABASE_URL a role of its own/,
      exitCode: 2,
      undo: onCloud(`drop role ${reader}`),
    },
    {
      name: 'the tables of the cloud have rows',
      make: onCloud('insert into lexicon values (1, 1)'),
      run: { words: setUp, settings },
      code: 'CLOUD_NOT_EMPTY',
      message: /have rows but no subscription fills them: lexicon/,
      fix: /truncate lexicon cascade/,
      exitCode: 2,
      undo: onCloud('truncate lexicon'),
    },
    {
      name: 'from the cloud nothing listens at home',
      run: { words: setUp, settings: { ...settings, REPLICATION_DATABASE_URL: closedHome.href } },
      code: 'REPLICATION_REFUSED',
      message: /nothing listens at the address in REPLICATION_DATABASE_URL/,
      fix: /listen_addresses/,
      exitCode: 1,
    },
  ]
}
