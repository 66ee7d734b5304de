import { createInterface } from 'node:readline/promises'
import { defineCommand } from '../../core/cli.ts'
import { HomeportError } from '../../core/errors.ts'
import { teardownReplication, type TeardownReport } from '../../replication/teardown.ts'
import { roleUrls, serverUrls } from './server-urls.ts'

interface Options {
  yes?: boolean
  roles?: boolean
}

const word = 'teardown'

export const teardownReplicationCommand = defineCommand<Options>({
  name: 'teardown-replication',
  summary: 'Remove subscription, slot and publication; content stays on both servers',
  details:
    'Does what it can when one server does not answer, and prints the SQL that is left to run there (exit 1).\n' +
    'With --json: {"removed": [what], "left": [{side, reason, sql}]}',
  examples: [
    ['teardown-replication', `asks for the word "${word}" first`],
    ['teardown-replication --yes --roles', 'without asking, and drop the two roles as well'],
  ],
  configure: (command) =>
    command
      .option('--yes', 'do not ask')
      .option('--roles', 'also drop the roles of DATABASE_URL and REPLICATION_DATABASE_URL'),
  async run({ options, out, signal }) {
    const urls = serverUrls()
    const roles = options.roles === true ? { roles: roleUrls() } : {}
    if (options.yes !== true) await confirm(signal)
    const report = await teardownReplication({
      ...urls,
      ...roles,
      onStep: (side, what) => out.note(`${side}: ${what}`),
    })
    out.result(report, describe(report))
    return report.left.length === 0 ? 0 : 1
  },
})

async function confirm(signal: AbortSignal): Promise<void> {
  const refusal = new HomeportError('NOT_CONFIRMED', 'nothing was removed', {
    hint: 'ops teardown-replication --yes',
    exitCode: 2,
  })
  if (!process.stdin.isTTY) throw refusal
  const questions = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await questions.question(`The cloud will no longer follow. Type "${word}" to go on: `, {
      signal,
    })
    if (answer.trim() !== word) throw refusal
  } finally {
    questions.close()
  }
}

function describe(report: TeardownReport): string {
  const removed =
    report.removed.length === 0 ? 'Nothing to remove.' : `Removed: ${report.removed.join(', ')}.`
  const left = report.left.map((one) => `-- ${one.side}: ${one.reason}\n${one.sql};`)
  return left.length === 0 ? removed : `${removed}\nLeft to do by hand:\n${left.join('\n')}`
}
