/** A family of an answer in the text format of Prometheus. */
export interface MetricFamily {
  type: string
  help: string
  /** by name with labels, as written */
  samples: Map<string, number>
}

const name = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const label = `[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"`
const helpLine = new RegExp(`^# HELP (${name}) (\\S.*)$`)
const typeLine = new RegExp(`^# TYPE (${name}) (counter|gauge|histogram|summary)$`)
const sampleLine = new RegExp(
  `^((${name})(?:\\{${label}(?:,${label})*\\})?) (-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|[+-]Inf)$`,
)

/**
 * Reads what a scrape would: version 0.0.4 of the format, and stricter: HELP and TYPE before each family, nothing
 * twice, no NaN.
 *
 * @throws Error that names the first line that does not fit.
 */
export function readPrometheusText(text: string): Map<string, MetricFamily> {
  const families = new Map<string, MetricFamily>()
  let current: [string, MetricFamily] | undefined
  const refuse = (why: string, line: string): never => {
    throw new Error(`${why}: ${line}`)
  }
  if (!text.endsWith('\n')) refuse('the last line has no end', text.slice(-80))
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const help = helpLine.exec(line)
    const type = typeLine.exec(line)
    const sample = sampleLine.exec(line)
    if (help !== null) {
      const [, family = '', words = ''] = help
      if (families.has(family)) refuse('a family twice', line)
      current = [family, { type: '', help: words, samples: new Map() }]
      families.set(...current)
    } else if (type !== null) {
      if (current?.[0] !== type[1] || current === undefined) refuse('a type without help', line)
      else current[1].type = type[2] ?? ''
    } else if (sample !== null && current !== undefined && current[1].type !== '') {
      const [, key = '', own = '', value = ''] = sample
      const suffix = own.slice(current[0].length)
      const suffixes = current[1].type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
      if (!own.startsWith(current[0]) || !suffixes.includes(suffix)) refuse('of another family', line)
      if (current[1].samples.has(key)) refuse('a sample twice', line)
      current[1].samples.set(
        key,
        value.endsWith('Inf') ? Infinity * (value.startsWith('-') ? -1 : 1) : Number(value),
      )
    } else refuse('not in the format', line)
  }
  return families
}
