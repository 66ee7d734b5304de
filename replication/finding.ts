import { HomeportError } from '../core/errors.ts'

export type Side = 'primary' | 'cloud'

/** One thing that is wrong, and what puts it right. */
export interface Finding {
  /** stable, upper case */
  code: string
  side: Side
  severity: 'error' | 'warning'
  message: string
  fix: string
  /** the table it is about, when it is about one */
  table?: string
}

type Complain = (code: string, message: string, fix: string, severity?: Finding['severity']) => void

/** A list of findings about one side, and the call that adds to it; an error unless it says otherwise. */
export function complaints(side: Side): { findings: Finding[]; complain: Complain } {
  const findings: Finding[] = []
  const complain: Complain = (code, message, fix, severity = 'error') => {
    findings.push({ code, side, severity, message, fix })
  }
  return { findings, complain }
}

/** The findings as the lines a person reads. */
export function describeFindings(findings: readonly Finding[]): string {
  return findings
    .map(
      (finding) =>
        `${finding.severity === 'error' ? '✗' : '!'} ${finding.side}: ${finding.message}\n    ${finding.fix}`,
    )
    .join('\n')
}

/**
 * Stops when any finding is an error, naming them all at once. The code is the finding's own when
 * there is one, else `PREFLIGHT`.
 *
 * @throws HomeportError, exit 2.
 */
export function refuseOnErrors(findings: readonly Finding[], what: string): void {
  const errors = findings.filter((finding) => finding.severity === 'error')
  const first = errors[0]
  if (first === undefined) return
  if (errors.length === 1) {
    throw new HomeportError(first.code, `${first.side}: ${first.message}`, { hint: first.fix, exitCode: 2 })
  }
  throw new HomeportError(
    'PREFLIGHT',
    `${what}: ${errors.length} things are in the way\n${describeFindings(errors)}`,
    {
      hint: 'correct them and run the same command again',
      exitCode: 2,
    },
  )
}
