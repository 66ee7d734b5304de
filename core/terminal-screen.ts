const home = '\u001b[H'
const clearLine = '\u001b[K'
const clearBelow = '\u001b[J'

export interface ScreenSize {
  rows: number
  columns: number
}

/** A text that takes the place of what is on a terminal, without flicker, cut to what fits. */
export function drawScreen(text: string, size: ScreenSize): string {
  const lines = fitScreen(text.split('\n'), size)
  return `${home}${lines.map((line) => line + clearLine).join('\n')}\n${clearBelow}`
}

/** Pure: as many lines as fit, lines that wrap counted whole; then how many more there are. */
export function fitScreen(lines: readonly string[], { rows, columns }: ScreenSize): string[] {
  const rowsOf = (line: string): number => Math.max(1, Math.ceil(line.length / columns))
  const all = lines.reduce((sum, line) => sum + rowsOf(line), 0)
  // The cursor stands in the last row.
  if (all <= rows - 1) return [...lines]
  const fitting: string[] = []
  let left = rows - 2
  for (const line of lines) {
    left -= rowsOf(line)
    if (left < 0) break
    fitting.push(line)
  }
  return [
    ...fitting,
    `… ${lines.length - fitting.length} more lines: make the window taller`.slice(0, columns),
  ]
}
