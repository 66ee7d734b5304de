#!/usr/bin/env node
import { endProcess, runProgram } from '../core/cli.ts'
import { opsCommands } from './commands/all.ts'

const exitCode = await runProgram({
  name: 'ops',
  description: 'Operate Homeport: schema, replication, verification',
  commands: opsCommands,
  argv: process.argv.slice(2),
})
endProcess(exitCode)
