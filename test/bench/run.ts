import { cpus, totalmem } from 'node:os'

/** What a benchmark measured. Figures carry their unit in the name; ratios are to a peer or limit of the same run. */
export interface BenchResult {
  figures: Readonly<Record<string, number>>
  ratios: Readonly<Record<string, number>>
}

export interface BenchOptions {
  /** Progress, for a person; goes to stderr. */
  note: (text: string) => void
  /** the words after the name of the benchmark */
  args?: readonly string[]
}

const benches: Readonly<
  Record<string, () => Promise<{ run: (options: BenchOptions) => Promise<BenchResult> }>>
> = {
  ingest: () => import('./ingest.ts'),
  search: () => import('./search.ts'),
  quality: () => import('./quality.ts'),
  relay: () => import('./relay.ts'),
  verify: () => import('./verify.ts'),
}

const name = process.argv[2] ?? ''
const load = benches[name]
if (load === undefined) {
  process.stderr.write(`Usage: npm run bench -- ${Object.keys(benches).join(' | ')}\n`)
  process.exit(2)
}
const note = (text: string): void => {
  process.stderr.write(`${text}\n`)
}
const { figures, ratios } = await (await load()).run({ note, args: process.argv.slice(3) })
const machine = {
  cores: cpus().length,
  cpu: cpus()[0]?.model ?? 'unknown',
  memoryGb: Math.round(totalmem() / 2 ** 30),
  node: process.version,
}
const width = Math.max(...Object.keys({ ...figures, ...ratios }).map((key) => key.length)) + 2
for (const [title, values] of [
  ['figures', figures],
  ['ratios', ratios],
] as const) {
  process.stdout.write(`${title}\n`)
  for (const [key, value] of Object.entries(values)) {
    process.stdout.write(`  ${key.padEnd(width)}${rounded(value)}\n`)
  }
}
const shown = (values: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, rounded(value)]))
process.stdout.write(
  `${JSON.stringify({ bench: name, machine, figures: shown(figures), ratios: shown(ratios) })}\n`,
)

function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(4))
}
