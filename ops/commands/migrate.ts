import { defineCommand } from '../../core/cli.ts'
import { readMigration } from '../../core/migrate.ts'
import { migrateBoth } from '../../replication/migrate-both.ts'
import { serverUrls } from './server-urls.ts'

export const migrateCommand = defineCommand<{ dryRun?: boolean }>({
  name: 'migrate',
  summary: 'Bring the schema of both databases up to date, in the order that replication needs',
  details:
    'Reads LOCAL_DATABASE_URL and PRODUCTION_DATABASE_URL. What adds to the schema goes to the cloud first, what takes\n' +
    'away (*.contract.sql) to the primary first, and to the cloud once that has caught up. A subscription or relay may\n' +
    'run meanwhile. Everything is tried in transactions that are rolled back first: where a change made by hand is in\n' +
    'the way it exits with 2, names it, and has changed nothing. A table that somebody uses is waited for 15 s, another\n' +
    'ops migrate 60 s; then the session is named (exit 1). Running it again changes nothing; killed, it is\n' +
    'finished by the next run.\n' +
    'With --json: {"dryRun", "cloud": [names applied], "primary": [names applied], "steps": [{side, names, fence}],\n' +
    '"mode": "native"|"relay"|null, "warnings": [{code, side, severity, message, fix, table?}]}',
  examples: [
    ['migrate', 'apply what is missing on both servers'],
    ['migrate --dry-run', 'try it, print the SQL that would be run, change nothing'],
  ],
  configure: (command) => command.option('--dry-run', 'print the SQL, change nothing'),
  async run({ options, out, signal }) {
    const dryRun = options.dryRun === true
    const report = await migrateBoth({
      ...serverUrls(),
      dryRun,
      signal,
      onNote: (text) => out.note(text),
      onWarning: (finding) => out.note(`Warning: ${finding.side}: ${finding.message}\n  ${finding.fix}`),
      onStep: ({ side, fence }) =>
        out.note(fence ? `waiting for the cloud, then migrating it` : `migrating the ${side}`),
    })
    const changed = report.cloud.length + report.primary.length > 0
    if (changed && !dryRun && report.mode !== null) {
      const what = report.mode === 'relay' ? 'relay' : 'subscription'
      out.note(`The ${what} goes on by itself: it need not be stopped or started.`)
    }
    const describe = (side: 'cloud' | 'primary'): string =>
      report[side].length === 0 ? `${side}: nothing to do` : `${side}: applied ${report[side].join(', ')}`
    const text = dryRun
      ? report.steps.flatMap(({ side, names, fence }) => [
          ...(fence ? ['-- wait until the cloud has caught up'] : []),
          ...names.map((name) => `-- ${side}: ${name}\n${readMigration(name)}`),
        ])
      : [describe('cloud'), describe('primary')]
    out.result({ dryRun, ...report }, text.length === 0 ? 'nothing to do' : text.join('\n'))
    return 0
  },
})
