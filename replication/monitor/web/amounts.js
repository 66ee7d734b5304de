// Amounts and times as a person reads them, in the language and the zone of who looks.

/** 512 B, 3.4 MB */
export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let rest = value
  let unit = 0
  while (Math.abs(rest) >= 1024 && unit < units.length - 1) {
    rest /= 1024
    unit += 1
  }
  return `${unit === 0 || Number.isInteger(rest) ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`
}

/** 0.4 s, 12 s, 4 min, 2.5 h, 3 d */
export function duration(seconds) {
  if (seconds < 10) return `${Number(seconds.toFixed(seconds < 1 ? 2 : 1))} s`
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Number((seconds / 3_600).toFixed(1))} h`
  return `${Math.round(seconds / 86_400)} d`
}

/** "4 min ago" */
export function ago(iso, nowMs) {
  const seconds = Math.max(0, (nowMs - Date.parse(iso)) / 1000)
  return seconds < 1 ? 'now' : `${duration(seconds < 10 ? Math.round(seconds) : seconds)} ago`
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const hour = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** The time of today, or day and time. */
export function moment(iso) {
  const at = new Date(iso)
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : full.format(at)
}

export function exactly(seconds) {
  return full.format(new Date(seconds * 1000))
}

/** Marks of a time axis that are so many seconds apart: days by their date, and so is every midnight. */
export function timeMarks(marks, stepSeconds) {
  return marks.map((mark) => {
    const at = new Date(mark * 1000)
    const isMidnight = at.getHours() === 0 && at.getMinutes() === 0
    if (stepSeconds >= 86_400 || isMidnight) return day.format(at)
    return (stepSeconds < 60 ? clock : hour).format(at)
  })
}
