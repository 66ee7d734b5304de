import { literal, renderSql } from '../../core/sql.ts'
import type { CloudFacts, HomeFacts } from './facts.ts'
import { revokeReplicaSetting } from './plan.ts'

/** Pure: what no command does, in the order in which a person should. Sentences. */
export function leftToDo(cloud: CloudFacts, home: HomeFacts | null, slotIsGone: boolean): string[] {
  return [
    ...aboutHome(cloud, home, slotIsGone),
    ...aboutPrivateRows(home),
    ...cloud.replicaHolders
      .filter(({ mayRevoke }) => !mayRevoke)
      .map(
        ({ role }) =>
          `The relay's old role ${role} may still switch triggers and foreign keys off; as an administrator there: ${revokeReplicaSetting(role)};`,
      ),
    'Set LOCAL_DATABASE_URL to this cloud wherever ingest and ops run from now on (the value of PRODUCTION_DATABASE_URL until today; without API_ONLY_MODE there); keep PRODUCTION_DATABASE_URL for the next cloud, and take RELAY_DATABASE_URL, GATEWAY_DATABASE_URL, PRODUCTION_API_URL and PRODUCTION_API_KEY away where nothing follows yet. DATABASE_URL of the api stays: its role still only reads.',
    'Point what leads to the old home at the new primary: DNS names, tunnels, schedules that ingest. Stop the gateway.',
    'Which files were taken in is known at home only: ingest reads them all once more, and writes no row anew, since ids are made of what is in them.',
    ...(cloud.server.walLevel === 'logical'
      ? []
      : [
          `wal_level is ${cloud.server.walLevel}: before another database can follow this one, alter system set wal_level = logical there (or at the provider), and restart it.`,
        ]),
    'A database that is to follow this one, the old home included, must be new and empty: ops migrate, then ops setup-replication with LOCAL_DATABASE_URL on this primary and PRODUCTION_DATABASE_URL on that one. An old home that still has its rows is refused: rows that only it has must be ingested here first.',
    'The api reports a growing lag until a database follows this one and ops monitor runs for the two: nothing else writes heartbeats.',
  ]
}

function aboutHome(cloud: CloudFacts, home: HomeFacts | null, slotIsGone: boolean): string[] {
  const slot =
    cloud.relay?.state === 'promoted' || cloud.subscription === null ? cloud.slot : cloud.subscription.slot
  const drop = renderSql('replication/drop-slot', { slot: literal(slot ?? cloud.slot) })
  if (home === null) {
    return [
      `If the old home ever starts again: ingest there would write rows that go nowhere. Run ops promote --apply once more then: it fences home and drops its slot, or by hand there: ${drop};`,
    ]
  }
  const others = home.slots.filter((one) => one.name !== slot).map((one) => one.name)
  return [
    'From the promotion on the old home takes no writes to content (ingest there ends, and says so); what it has stays readable. Stop ops relay and ingest there.',
    ...(slotIsGone
      ? []
      : [`The old home still keeps log for this cloud; once its relay has ended, there: ${drop};`]),
    ...(others.length === 0
      ? []
      : [
          `Other clouds still follow the old home (slots ${others.join(', ')}): they get nothing new. Set each up again from here, from a new, empty database.`,
        ]),
  ]
}

function aboutPrivateRows(home: HomeFacts | null): string[] {
  const never = 'Rows that are not public never left home'
  if (home === null) return [`${never}: this primary has none of them, nor home's jobs and list of files.`]
  const { privateSources, privateSegments, ingestedFiles } = home
  return [
    `${never}: ${privateSources} sources with ${privateSegments} segments, and the list of ${ingestedFiles} files, are at home only. Keep that database, or ingest those files again where private rows may lie: with LOCAL_DATABASE_URL on this primary they would lie in the cloud.`,
  ]
}
