import { Option, type Command } from 'commander'
import { wholeNumber } from '../../core/cli.ts'
import { paces, type Pace } from '../../replication/verify/pace.ts'

/** What every command has that compares both sides. */
export interface CompareOptions {
  pace: Pace
  timeoutSeconds: number
}

/** Adds `--pace` and `--timeout-seconds`. */
export function addCompareOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--pace <pace>',
        'default lets both servers rest after every quarter of a millisecond, and waits where replication falls behind; full does neither',
      )
        .choices(paces)
        .default('default'),
    )
    .option(
      '--timeout-seconds <seconds>',
      'how long the cloud may take to catch up',
      wholeNumber({ min: 1, max: 86_400 }),
      60,
    )
}
