import { endProcess, runProgram } from '../core/cli.ts'
import { ingestProgram } from './commands/program.ts'

// The shell's convention for a command that a signal ended: 128 and the signal's number.
let endedBy: number | undefined
process.once('SIGINT', () => (endedBy = 130))
process.once('SIGTERM', () => (endedBy = 143))
process.once('SIGHUP', () => (endedBy = 129))

const exitCode = await runProgram({ ...ingestProgram, argv: process.argv.slice(2) })
endProcess(exitCode === 0 ? 0 : (endedBy ?? exitCode))
