import { plainInline } from './markdown-inline.ts'

// **Name:** text, **Name**: text, and what typing errors make of them (***Name:**, *Name:**, 1**Name:**).
const bold = /^(?:\d{1,2}|[>#+-]+[ \t]+)?(\*{1,3})([^*\n]{1,80})(\*{2,3})([ \t]*:)?[ \t]*/
const boldLine = /^(?:\d{1,2}|[>#+-]+[ \t]+)?\*{1,3}[^*\n]{1,80}\*{2,3}/gm
const plain = /^([^\s:*[\]][^:*[\]\n]{0,59}):\s+(?=\S)/
const inner = /(?<=\s)(?=\*\*[^*\n:]{1,60}:\*\*(?:\s|$))/

// Bold labels that are not people.
const labels = new Set(
  'note,notes,nb,tip,tips,warning,important,update,correction,disclaimer,summary,links,tl;dr,todo,example,examples,usage,license,licence,installation,install,requirements'.split(
    ',',
  ),
)

export interface SpokenLine {
  speaker: string
  /** The line after the name, still Markdown. */
  rest: string
}

/** The speaker a line names in bold, or null. `known` are the names that stand with a colon elsewhere. */
export function boldSpeaker(line: string, known: ReadonlySet<string>): SpokenLine | null {
  const match = bold.exec(line)
  if (match === null) return null
  const [whole, opening = '', content = '', closing = '', colonAfter] = match
  const colon = content.indexOf(':')
  if (opening.length === 1 && colon === -1) return null
  if (colon === -1 && colonAfter === undefined && !known.has(plainInline(content))) return null
  const { name: raw, extra } = splitName(content)
  if (raw.includes(':') && !/:\s*$/.test(raw) && colonAfter === undefined) return null
  const name = plainInline(raw.replace(/:\s*$/, ''))
  if (!isName(name)) return null
  let rest = extra + line.slice(whole.length)
  // ***Name:** text* : the paragraph is in italics and its end mark has no partner left.
  if (opening.length > closing.length && /[^\\*]\*$/.test(rest)) rest = rest.slice(0, -1)
  return { speaker: name, rest }
}

/** `Name: "` quoted too far, `Name: Name:` said twice. */
function splitName(content: string): { name: string; extra: string } {
  const colon = content.indexOf(':')
  if (colon === -1) return { name: content, extra: '' }
  const name = content.slice(0, colon)
  const after = content.slice(colon + 1).trim()
  if (after === '' || after.replace(/:$/, '') === name.trim()) return { name, extra: '' }
  return /[\p{L}\p{N}]/u.test(after) ? { name: content, extra: '' } : { name, extra: after }
}

/** A name without bold, believed only when the file names the same speaker (or one of that first name) in bold. */
export function plainSpeaker(line: string, known: ReadonlySet<string>): SpokenLine | null {
  const match = plain.exec(line)
  if (match?.[1] === undefined) return null
  const name = match[1]
  const rest = line.slice(match[0].length)
  if (known.has(name)) return { speaker: name, rest }
  const sharing = [...known].filter((full) => full.startsWith(`${name} `))
  return sharing.length === 1 && sharing[0] !== undefined ? { speaker: sharing[0], rest } : null
}

/** Splits a line where another speaker is named in the middle of it. */
export function splitAtSpeakers(line: string, known: ReadonlySet<string>): string[] {
  if (line.indexOf('**', 2) === -1) return [line]
  const parts: string[] = []
  for (const part of line.split(inner)) {
    const name = /^\*\*([^*\n:]{1,60}):/.exec(part)?.[1]?.trim()
    const believed = name !== undefined && (known.has(name) || /^\p{Lu}\S* \S/u.test(name))
    if (parts.length === 0 || believed) parts.push(part)
    else parts.push((parts.pop() ?? '') + part)
  }
  return parts
}

/** The names that stand in bold with a colon at the start of a line. */
export function boldNames(markdown: string): Set<string> {
  const names = new Set<string>()
  const none: ReadonlySet<string> = new Set()
  for (const match of markdown.matchAll(boldLine)) {
    const spoken = boldSpeaker(markdown.slice(match.index, match.index + match[0].length + 2), none)
    if (spoken !== null) names.add(spoken.speaker)
  }
  return names
}

function isName(name: string): boolean {
  if (name.length > 60 || name.split(' ').length > 8) return false
  return (
    /[\p{L}$]/u.test(name) &&
    !labels.has(name.toLowerCase()) &&
    !/[.!?]$/.test(name.replace(/\b\p{L}+\.$/u, ''))
  )
}
