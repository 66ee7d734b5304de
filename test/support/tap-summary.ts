export interface TapTotals {
  passed: number
  failed: number
  skipped: number
}

/**
 * Turns the TAP of many test files into one line a file, with everything a failed one said, and adds up
 * tap's own totals. Files arrive whole, one after the other, also when they ran side by side.
 */
export function createTapSummary(print: (text: string) => void): {
  write(text: string): void
  end(): TapTotals
} {
  const totals: TapTotals = { passed: 0, failed: 0, skipped: 0 }
  let rest = ''
  let file: string[] = []

  function line(text: string): void {
    const total =
      /^# \{ total: \d+(?:, pass: (\d+))?(?:, fail: (\d+))?(?:, todo: (\d+))?(?:, skip: (\d+))? \}/.exec(text)
    if (total !== null) {
      totals.passed += Number(total[1] ?? 0)
      totals.failed += Number(total[2] ?? 0)
      return
    }
    const end = /^(not )?ok \d+ - (\S+?)(?: # (.*))?$/.exec(text)
    if (end === null) {
      file.push(text)
      return
    }
    const skips = file.filter((each) => /^\s+(?:not )?ok \d+.*# SKIP/.test(each))
    totals.skipped += skips.length
    const count = file.filter(isAssertion).length
    print(
      `${end[1] === undefined ? 'ok      ' : 'NOT OK  '}${String(count).padStart(4)}  ${end[2] ?? ''}${seconds(end[3])}`,
    )
    for (const skip of skips) print(`        skipped: ${skip.replace(/^\s+(?:not )?ok \d+ (?:- )?/, '')}`)
    if (end[1] !== undefined) {
      for (const each of failures(file)) print(each)
    }
    file = []
  }

  return {
    write(text) {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const each of lines) line(each)
    },
    end() {
      if (rest !== '') line(rest)
      rest = ''
      // What is left belongs to no file that ended: tap itself complained, or was killed.
      for (const each of failures(file)) print(each)
      file = []
      return totals
    },
  }
}

function seconds(comment: string | undefined): string {
  const time = /time=([\d.]+)ms/.exec(comment ?? '')?.[1]
  return time === undefined ? '' : `  ${(Number(time) / 1000).toFixed(1)} s`
}

// The line that closes a subtest repeats what is inside it; only that one carries its time.
function isAssertion(text: string): boolean {
  return /^\s+(?:not )?ok \d+/.test(text) && !/# time=[\d.]+m?s/.test(text)
}

/** Of a failed file: the names of subtests, what failed with its diagnostics, and whatever is not TAP. */
function failures(lines: readonly string[]): string[] {
  const shown: string[] = []
  let passedDiagnostics = false
  for (const text of lines) {
    if (/^\s+---$/.test(text)) passedDiagnostics = shown.at(-1)?.trimStart().startsWith('ok ') ?? false
    const noise =
      /^\s*$|^\s+ok \d+|^\s*1\.\.\d+$|^\s*# time=|^TAP version|^# No coverage|^\s*# \{ total|^1\.\.\d+$/.test(
        text,
      )
    if (!noise && !passedDiagnostics) shown.push(text)
    if (/^\s+\.\.\.$/.test(text)) passedDiagnostics = false
  }
  return shown
}
