import { defineCommand } from '../../core/cli.ts'
import { openServer } from '../../replication/servers.ts'
import { ensureVectorIndex } from '../../replication/vector-index.ts'
import { databaseUrl } from '../../core/config.ts'

export const indexCommand = defineCommand({
  name: 'index',
  summary: "Build the active model's vector index on the cloud where it is missing",
  details:
    'Neither readers nor the subscription wait for it. Indexes of models that are gone are dropped.\n' +
    'With --json: {"model": id|null, "created", "dropped": [names], "seconds"}',
  examples: [['index', 'after a new model became active, or when ops monitor names a missing index']],
  async run({ out }) {
    const cloud = await openServer('cloud', databaseUrl('PRODUCTION_DATABASE_URL'))
    try {
      const report = await ensureVectorIndex({ cloud: cloud.pool, onNote: (text) => out.note(text) })
      const dropped = report.dropped.length === 0 ? '' : ` Dropped ${report.dropped.join(', ')}.`
      const text =
        report.model === null
          ? 'No model is active: nothing to index.'
          : report.created
            ? `Built the index of model ${report.model} in ${report.seconds.toFixed(1)} s.`
            : `The index of model ${report.model} is there.`
      out.result(report, text + dropped)
      return 0
    } finally {
      await cloud.pool.end()
    }
  },
})
