import { defineCommand } from '../../core/cli.ts'
import { HomeportError } from '../../core/errors.ts'
import { describeFix, type Effect, type SchemaDifference } from '../../replication/schema-difference.ts'
import { diffSchemas, type SchemaDiffReport } from '../../replication/schema-diff.ts'
import { serverUrls } from './server-urls.ts'

export const schemaCommand = defineCommand({
  name: 'schema',
  summary: 'Compare the schema of both databases with each other and with what is replicated (schema diff)',
  details:
    'For every published table: presence, columns with their types, keys, replica identity, row security,\n' +
    'constraints, indexes and triggers; then the publication, the subscription, the migrations, and tables that one\n' +
    'side has alone. Each difference comes with what it does to replication and the command that removes it. What is\n' +
    'meant to differ is left out: search indexes of the cloud, foreign keys that the setup of the relay took away.\n' +
    'Changes nothing. Exit 3 when something differs, 1 when a server does not answer.\n' +
    'With --json: {"same", "mode": "native"|"relay"|null, "tables", "differences": [{code, side, table, message,\n' +
    'effect: "stopsNow"|"stopsLater"|"bends"|"harmless", fix: {on: "primary"|"cloud"|null, command,\n' +
    'ifStuck?}}]}; ifStuck is for the cloud, where the log still has rows of the other shape',
  examples: [
    ['schema diff', 'what differs, what it does, and the statement that puts it right'],
    ['schema diff --json', 'the same for a program'],
  ],
  configure: (command) => command.argument('<action>', 'diff'),
  async run({ args, out }) {
    if (args[0] !== 'diff') {
      throw new HomeportError('USAGE', `${args[0] ?? ''} is not diff`, {
        hint: 'ops schema diff',
        exitCode: 2,
      })
    }
    const report = await diffSchemas(serverUrls())
    const same = report.differences.length === 0
    out.result({ same, ...report }, describe(report))
    return same ? 0 : 3
  },
})

const marks: Readonly<Record<Effect, string>> = { stopsNow: '✗', stopsLater: '✗', bends: '!', harmless: '·' }

const effects: Readonly<Record<Effect, string>> = {
  stopsNow: 'replication stands still, and cannot go on with it',
  stopsLater: 'stops replication at the next write that meets it',
  bends: 'replication goes on, and the cloud is not what it should be',
  harmless: 'harmless to replication',
}

function describe({ tables, differences }: SchemaDiffReport): string {
  if (differences.length === 0) return `The schemas are the same: ${tables} published tables`
  const stopping = differences.filter(({ effect }) => effect === 'stopsNow' || effect === 'stopsLater').length
  const count = differences.length === 1 ? '1 difference' : `${differences.length} differences`
  const stops = stopping === 0 ? 'none of them stops replication' : `${stopping} stop replication`
  return [...differences.map(describeOne), '', `${count}; ${stops}`].join('\n')
}

function describeOne({ message, effect, fix }: SchemaDifference): string {
  return `${marks[effect]} ${message}\n    ${effects[effect]}\n    ${describeFix(fix)}`
}
