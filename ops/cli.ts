#!/usr/bin/env node
import { endProcess, runProgram } from '../core/cli.ts'
import { loadCommands } from './commands/all.ts'

const argv = process.argv.slice(2)
const exitCode = await runProgram({
  name: 'ops',
  description: 'Operate Homeport: schema, replication, verification',
  commands: await loadCommands(argv),
  argv,
})
endProcess(exitCode)
