import { defineCommand } from '../../core/cli.ts'
import { teardownReplication, type TeardownReport } from '../../replication/teardown.ts'
import { confirm } from './confirm.ts'
import { roleUrls, serverUrls, writeRoleUrls } from './server-urls.ts'

interface Options {
  yes?: boolean
  roles?: boolean
}

const word = 'teardown'

export const teardownReplicationCommand = defineCommand<Options>({
  name: 'teardown-replication',
  summary: 'Remove subscription or relay record, slot and publication; content stays on both servers',
  details:
    'Does what it can when one server does not answer, and prints the SQL that is left to run there (exit 1).\n' +
    'Foreign keys that a setup in relay mode had to drop in the cloud come back.\n' +
    'With --json: {"removed": [what], "restored": [what], "left": [{side, reason, sql}]}',
  examples: [
    ['teardown-replication', `asks for the word "${word}" first`],
    ['teardown-replication --yes --roles', 'without asking, and drop the roles as well'],
  ],
  configure: (command) =>
    command
      .option('--yes', 'do not ask')
      .option(
        '--roles',
        'also drop the roles of DATABASE_URL, REPLICATION_DATABASE_URL, RELAY_DATABASE_URL and GATEWAY_DATABASE_URL',
      ),
  async run({ options, out, signal }) {
    const urls = serverUrls()
    const roles = options.roles === true ? { roles: { ...roleUrls(), ...writeRoleUrls() } } : {}
    if (options.yes !== true) {
      await confirm({
        word,
        what: 'The cloud will no longer follow.',
        refusal: 'nothing was removed',
        hint: 'ops teardown-replication --yes',
        signal,
      })
    }
    const report = await teardownReplication({
      ...urls,
      ...roles,
      onStep: (side, what) => out.note(`${side}: ${what}`),
    })
    out.result(report, describe(report))
    return report.left.length === 0 ? 0 : 1
  },
})

function describe(report: TeardownReport): string {
  const back = report.restored.length === 0 ? '' : `\nBrought back: ${report.restored.join(', ')}.`
  const removed =
    (report.removed.length === 0 ? 'Nothing to remove.' : `Removed: ${report.removed.join(', ')}.`) + back
  const left = report.left.map((one) => `-- ${one.side}: ${one.reason}\n${one.sql};`)
  return left.length === 0 ? removed : `${removed}\nLeft to do by hand:\n${left.join('\n')}`
}
