import { MonitorHistory } from '../../../replication/monitor/history.ts'
import { quietSample } from './sample-data.ts'

// Adds samples as fast as it can, a millisecond apart by what they say, and tells how many are written, until it
// is killed.
const [folder = '', fromMs = ''] = process.argv.slice(2)
const history = await MonitorHistory.open({ folder })
for (let count = 1; ; count += 1) {
  await history.addSample(quietSample(new Date(Number(fromMs) + count)))
  process.send?.(count)
}
