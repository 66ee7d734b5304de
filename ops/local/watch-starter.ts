import { npmRun } from '../../core/config.ts'
import { processIdentity } from '../../core/process-identity.ts'
import { commandLineOf, parentOf } from './processes.ts'

/**
 * Calls `gone` once when npm, which started this process, has ended without telling us: a SIGTERM for npm
 * ends the shell between and not us, and a SIGKILL tells nobody. Watches nothing when it was not npm, and
 * does not keep this process alive. Returns what ends the watch.
 */
export function watchStarter(
  gone: () => void,
  options: { environment?: Readonly<Record<string, string | undefined>>; everyMs?: number } = {},
): () => void {
  const script = npmRun(options.environment).script
  if (script === undefined) return () => undefined
  const parent = process.ppid
  // npm runs a shell with the script in its words, which may or may not have become this process.
  const npm = commandLineOf(parent).includes(script) ? parentOf(parent) : undefined
  const identity = npm === undefined ? undefined : processIdentity(npm)
  const timer = setInterval(() => {
    const npmRuns = npm === undefined || processIdentity(npm) === identity
    if (process.ppid === parent && npmRuns) return
    clearInterval(timer)
    gone()
  }, options.everyMs ?? 500)
  timer.unref()
  return () => clearInterval(timer)
}
