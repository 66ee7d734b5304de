import { captionsCommand } from './captions.ts'
import { embedCommand } from './embed.ts'
import { statusCommand } from './status.ts'

/** The `ingest` command, for {@link runProgram}. */
export const ingestProgram = {
  name: 'ingest',
  description: 'Takes transcripts into the primary, at home.',
  commands: [captionsCommand, embedCommand, statusCommand],
} as const
