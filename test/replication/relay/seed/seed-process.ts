import { armFailpoints } from '../../../../core/failpoint.ts'
import { setupRelay } from '../../../../replication/relay/setup/setup-relay.ts'
import { log, setupOptions, type RelayUrls } from '../setup/support.ts'

/** What {@link startSeed} hands over. */
export interface SeedProcessOrder {
  urls: RelayUrls
  rangeRows: number
  jobs: number
  /** kill -9 after so many ranges of this process; never when null */
  killAfter: number | null
}

const order = JSON.parse(process.argv[2] ?? '{}') as SeedProcessOrder
let copied = 0
armFailpoints((name) => {
  if (name === 'seed.after-range' && order.killAfter !== null && (copied += 1) >= order.killAfter) {
    process.kill(process.pid, 'SIGKILL')
  }
})
const report = await setupRelay({
  ...setupOptions(order.urls),
  rangeRows: order.rangeRows,
  jobs: order.jobs,
  log,
})
process.stdout.write(JSON.stringify({ copy: report.copy }))
