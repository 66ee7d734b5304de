import { Option } from 'commander'
import { defineCommand, wholeNumber } from '../../core/cli.ts'
import { databaseUrl } from '../../core/config.ts'
import { chooseTables, reseed } from '../../replication/relay/setup/reseed.ts'
import { confirm } from './confirm.ts'
import { copyToJson, describeCopy, quietLog } from './copy-progress.ts'
import { seedWay, seedWays, serverUrls } from './server-urls.ts'

interface Options {
  yes?: boolean
  via: (typeof seedWays)[number]
  jobs?: number
}

const word = 'reseed'

export const reseedCommand = defineCommand<Options>({
  name: 'reseed',
  summary: 'Relay mode: empty tables of the cloud and copy them again from the primary',
  details:
    'Without names: everything, from a new slot; for a slot that was lost, a cloud that was restored to an older state,\n' +
    'and a primary that was restored or replaced. With names: these tables; the rest of the cloud stays.\n' +
    'The relay must not run meanwhile. Searches find less until the copy is there. Cut off anywhere,\n' +
    'ops setup-replication --mode relay goes on where it stopped.\n' +
    'With --json: {"slot", "tables": [names], "copy": {tables, ranges, rows, bytes, seconds}, "index": {model, created, dropped, seconds}}',
  examples: [
    ['reseed', `asks for the word "${word}" first, then copies everything`],
    ['reseed segments embeddings --yes', 'two tables, without asking'],
  ],
  configure: (command) =>
    command
      .argument('[table...]', 'names of published tables; all when absent')
      .option('--yes', 'do not ask')
      .addOption(
        new Option('--via <way>', 'how the copy reaches the cloud').choices(seedWays).default('direct'),
      )
      .option('--jobs <number>', 'parallel workers', wholeNumber({ min: 1, max: 16 })),
  async run({ args, options, out, signal }) {
    const settings = {
      ...serverUrls(),
      replicationUrl: databaseUrl('REPLICATION_DATABASE_URL'),
      way: seedWay(options.via),
    }
    const tables = chooseTables(args).map((table) => table.name)
    if (options.yes !== true) {
      await confirm({
        word,
        what: `${tables.join(', ')} will be emptied in the cloud and copied again.`,
        refusal: 'nothing was emptied',
        hint: ['ops reseed', ...args, '--yes'].join(' '),
        signal,
      })
    }
    const report = await reseed({
      ...settings,
      tables,
      log: quietLog('reseed'),
      signal,
      ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
      onCopy: (copy) => out.progress(describeCopy(copy)),
      onNote: (text) => out.note(text),
    })
    const { slot, copy, index } = report
    const indexed = index.created ? ` The vector index was built in ${index.seconds.toFixed(1)} s.` : ''
    out.result(
      { slot, tables, copy: copyToJson(copy), index },
      `Copied ${copy.rows} rows of ${tables.length} tables in ${copy.seconds.toFixed(1)} s.${indexed} Start ops relay again.`,
    )
    return 0
  },
})
