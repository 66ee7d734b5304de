import { defineCommand } from '../../core/cli.ts'
import { migrateBoth, readMigration } from '../../replication/migrate-both.ts'
import { serverUrls } from './server-urls.ts'

export const migrateCommand = defineCommand<{ dryRun?: boolean }>({
  name: 'migrate',
  summary: 'Bring the schema of both databases up to date, the cloud first',
  details:
    'Reads LOCAL_DATABASE_URL and PRODUCTION_DATABASE_URL. Running it again changes nothing.\n' +
    'With --json: {"dryRun", "cloud": [names applied], "primary": [names applied], "warnings": [{code, side, message, fix}]}',
  examples: [
    ['migrate', 'apply what is missing on both servers'],
    ['migrate --dry-run', 'print the SQL that would be run'],
  ],
  configure: (command) => command.option('--dry-run', 'print the SQL, change nothing'),
  async run({ options, out }) {
    const dryRun = options.dryRun === true
    const report = await migrateBoth({
      ...serverUrls(),
      dryRun,
      onWarning: (finding) => out.note(`Warning: ${finding.side}: ${finding.message}\n  ${finding.fix}`),
      onSide: (side) => out.note(`migrating the ${side}`),
    })
    const describe = (side: 'cloud' | 'primary'): string => {
      const names = report[side]
      if (names.length === 0) return `${side}: nothing to do`
      if (!dryRun) return `${side}: applied ${names.join(', ')}`
      return names.map((name) => `-- ${side}: ${name}\n${readMigration(name)}`).join('\n')
    }
    out.result({ dryRun, ...report }, `${describe('cloud')}\n${describe('primary')}`)
    return 0
  },
})
