import { runProgram } from '../core/cli.ts'
import { captionsCommand } from './commands/captions.ts'
import { embedCommand } from './commands/embed.ts'
import { statusCommand } from './commands/status.ts'

// The shell's convention for a command that a signal ended: 128 and the signal's number.
let endedBy: number | undefined
process.once('SIGINT', () => (endedBy = 130))
process.once('SIGTERM', () => (endedBy = 143))

const exitCode = await runProgram({
  name: 'ingest',
  description: 'Takes transcripts into the primary, at home.',
  commands: [captionsCommand, embedCommand, statusCommand],
  argv: process.argv.slice(2),
})
process.exitCode = exitCode === 0 ? 0 : (endedBy ?? exitCode)
