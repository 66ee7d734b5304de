import type { Output } from '../../../core/cli.ts'
import { runCaptions, type CaptionsReport, type CaptionsRun } from '../../../ingest/commands/captions-run.ts'

export interface InProcessRun {
  report: CaptionsReport
  /** What was said on stderr. */
  notes: string[]
}

/** `ingest captions` without starting a process. */
export async function captionsInProcess(
  connectionString: string,
  paths: readonly string[],
  over: Partial<CaptionsRun> = {},
): Promise<InProcessRun> {
  const notes: string[] = []
  const out: Output = {
    result: () => undefined,
    screen: () => undefined,
    note: (text) => notes.push(text),
    progress: () => undefined,
  }
  const report = await runCaptions({
    paths,
    connectionString,
    prune: false,
    yes: false,
    dryRun: false,
    signal: new AbortController().signal,
    out,
    isTerminal: false,
    ...over,
  })
  return { report, notes }
}

/** A WebVTT file of paragraphs: a cue of 10 s for each, 20 s apart, so that each becomes a segment. */
export function webvtt(paragraphs: readonly string[]): string {
  const cues = paragraphs.map((text, index) => `${time(index * 20)} --> ${time(index * 20 + 10)}\n${text}`)
  return `WEBVTT\n\n${cues.join('\n\n')}\n`
}

function time(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.000`
}

/** A paragraph of its own words. */
export function paragraph(index: number, words = 12): string {
  return `Paragraph ${index} ${Array.from({ length: words }, (_, at) => `word${(index * 31 + at * 7) % 97}`).join(' ')}.`
}
