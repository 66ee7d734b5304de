import uPlot from '/uplot.js'
import { bytes, duration, exactly, timeMarks } from '/amounts.js'

const height = 190
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800]
const secondSteps = [0.001, 0.01, 0.1, 0.2, 0.5, ...steps]
const byteSteps = Array.from({ length: 6 }, (_, unit) =>
  [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((factor) => factor * 1024 ** unit),
).flat()

/** What each chart shows: a line, and perhaps its limit, of samples. */
const kinds = [
  {
    title: 'Lag',
    unit: duration,
    steps: secondSteps,
    lines: [{ label: 'behind', of: (sample) => sample.lag.seconds }],
  },
  {
    title: 'Log held by the slot',
    unit: bytes,
    steps: byteSteps,
    lines: [
      { label: 'held', of: (sample) => sample.slot?.retainedBytes },
      {
        label: 'limit',
        isLimit: true,
        of: ({ slot }) =>
          slot === null || slot.safeWalBytes === null ? null : slot.retainedBytes + slot.safeWalBytes,
      },
    ],
  },
  {
    title: 'Log written by the primary',
    unit: (value) => `${bytes(value)}/s`,
    steps: byteSteps,
    lines: [{ label: 'a second', of: (sample) => sample.walBytesPerSecond }],
  },
]

/** Draws the charts into a container, and again whenever they are handed samples. */
export class Charts {
  #charts
  #range = [0, 1]

  constructor(container) {
    this.#charts = kinds.map((kind) => this.#make(kind, container))
    window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const { plot } of this.#charts) plot.redraw(false, true)
    })
    new window.ResizeObserver(() => {
      for (const { plot, box } of this.#charts) plot.setSize({ width: widthOf(box), height })
    }).observe(container)
  }

  /** Samples, the oldest first, and which time they are of, in seconds since 1970. */
  show(samples, from, to) {
    this.#range = [from, to]
    const drawn = withGaps(samples)
    const times = drawn.map(({ at }) => at)
    for (const { kind, plot, note, box } of this.#charts) {
      const values = kind.lines.map(({ of }) =>
        drawn.map(({ sample }) => (sample === null ? null : (of(sample) ?? null))),
      )
      plot.setData([times, ...values])
      note.textContent = summary(kind, values)
      box.setAttribute('aria-label', `${kind.title}: ${note.textContent}`)
    }
  }

  #make(kind, container) {
    const figure = document.createElement('figure')
    const caption = document.createElement('figcaption')
    const title = document.createElement('b')
    title.textContent = kind.title
    const note = document.createElement('span')
    const box = document.createElement('div')
    box.className = 'plot'
    box.setAttribute('role', 'img')
    caption.append(title, note)
    figure.append(caption, box)
    container.append(figure)
    const plot = new uPlot(this.#options(kind, widthOf(box)), [[], ...kind.lines.map(() => [])], box)
    return { kind, plot, note, box }
  }

  #options(kind, width) {
    const axis = {
      stroke: () => colour('--soft'),
      grid: { stroke: () => colour('--line'), width: 1 },
      ticks: { stroke: () => colour('--line'), width: 1, size: 5 },
      font: '12px system-ui, sans-serif',
    }
    return {
      width,
      height,
      cursor: { drag: { x: false, y: false }, sync: { key: 'monitor' } },
      scales: {
        x: { range: () => this.#range },
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] },
      },
      axes: [
        { ...axis, space: 64, size: 32, values: (_, marks, ___, ____, step) => timeMarks(marks, step) },
        {
          ...axis,
          size: 68,
          incrs: kind.steps,
          values: (_, marks) => marks.map((mark) => kind.unit(mark)),
        },
      ],
      series: [
        { label: 'at', value: (_, at) => (at === null ? '–' : exactly(at)) },
        ...kind.lines.map((line) => series(kind, line)),
      ],
    }
  }
}

function series(kind, { label, isLimit = false }) {
  return {
    label,
    width: 1.5,
    stroke: () => colour(isLimit ? '--bad' : '--accent'),
    ...(isLimit ? { dash: [6, 4] } : { fill: () => colour('--area') }),
    points: { show: isLimit ? false : undefined },
    value: (_, value) => (value === null || value === undefined ? '–' : kind.unit(value)),
  }
}

/** "now 0.4 s · peak 12 s · limit 1.0 GB" */
function summary({ unit, lines }, values) {
  const known = values[0].filter((value) => value !== null)
  if (known.length === 0) return 'nothing is known of that time'
  const last = values[0].findLast((value, place) => value !== null || place === values[0].length - 1)
  const parts = [
    last === null || last === undefined ? 'now unknown' : `now ${unit(last)}`,
    `peak ${unit(known.reduce((most, value) => Math.max(most, value)))}`,
  ]
  const limit = lines[1] && values[1].findLast((value) => value !== null)
  return [...parts, ...(limit ? [`limit ${unit(limit)}`] : [])].join(' · ')
}

/** A hole where nobody looked, rather than a line across it. */
function withGaps(samples) {
  const found = samples.map((sample) => ({ at: Date.parse(sample.at) / 1000, sample }))
  const apart = found.slice(1).map(({ at }, place) => at - found[place].at)
  const usual = apart.toSorted((one, other) => one - other)[Math.floor(apart.length / 2)] ?? 0
  return found.flatMap((one, place) =>
    place > 0 && apart[place - 1] > 4 * usual ? [{ at: one.at - 0.001, sample: null }, one] : [one],
  )
}

function widthOf(box) {
  return Math.max(200, Math.floor(box.clientWidth))
}

function colour(name) {
  return window.getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}
