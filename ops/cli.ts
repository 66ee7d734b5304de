#!/usr/bin/env node
import { runProgram } from '../core/cli.ts'
import { indexCommand } from './commands/vector-index.ts'
import { migrateCommand } from './commands/migrate.ts'
import { monitorCommand } from './commands/monitor.ts'
import { setupReplicationCommand } from './commands/setup-replication.ts'
import { statusCommand } from './commands/status.ts'
import { teardownReplicationCommand } from './commands/teardown-replication.ts'

process.exitCode = await runProgram({
  name: 'ops',
  description: 'Operate Homeport: schema, replication, verification',
  commands: [
    migrateCommand,
    setupReplicationCommand,
    teardownReplicationCommand,
    monitorCommand,
    statusCommand,
    indexCommand,
  ],
  argv: process.argv.slice(2),
})
