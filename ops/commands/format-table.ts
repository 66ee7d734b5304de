/** Rows as columns of equal width for a terminal; numbers to the right. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const cells = [header, ...rows].map((row) => row.map(String))
  const widths = header.map((_, place) => Math.max(...cells.map((row) => row[place]?.length ?? 0)))
  const isNumber = header.map((_, place) => rows.every((row) => typeof row[place] === 'number'))
  return cells
    .map((row) =>
      row
        .map((cell, place) =>
          isNumber[place] === true ? cell.padStart(widths[place] ?? 0) : cell.padEnd(widths[place] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
