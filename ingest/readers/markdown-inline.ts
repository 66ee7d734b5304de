import { decodeEntities, foldSpace } from './entities.ts'

const special = /[\\*_`[<&~]/
const escaped = /\\([!-/:-@[-`{-~])/g
// Escaped characters wait in the private use area while the markup around them is taken away.
const shelter = 0xe000
const sheltered = /[\uE021-\uE07E]/g

const image = /!\[[^[\]]*\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+"[^"]*")?\)/g
const link = /\[([^[\]]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+"[^"]*")?\)/g
const autolink = /<((?:https?|mailto):[^<>\s]+)>/g
const tag =
  /<!--[^<>]*-->|<\/?(?:a|abbr|b|br|code|del|div|em|figure|hr|i|iframe|img|ins|kbd|mark|p|q|s|small|span|strong|sub|sup|u)\b[^<>]*>/gi
const code = /(?<!`)(`{1,2})(?!`)([^`]+)\1(?!`)/g
const stars = /(\*{1,3})(?=[^\s*])([^*]*[^\s*])\1/g
const underscores = /(?<![\p{L}\p{N}_])(_{1,3})(?=[^\s_])([^_]*[^\s_])\1(?![\p{L}\p{N}_])/gu
const strike = /~~(?=\S)([^~]+)~~/g
// What emphasis leaves behind when its other half stands in another paragraph or before a time.
const strayOpening = /(^|\s)\*{1,3}(?=["'“‘([\p{L}\p{N}]|\s|$)/gu
const strayClosing = /(?<=[.,!?;:"'”’)\]])\*{1,3}(?=\s|$)/g

/**
 * One line of Markdown as plain text: escapes resolved, links as their text, images and tags gone,
 * emphasis and code marks removed, entities decoded, white space folded.
 */
export function plainInline(line: string): string {
  if (!special.test(line)) return foldSpace(line)
  const text = line
    .replace(escaped, (_, char: string) => hide(char))
    .replace(code, (_, __, content: string) => content.replace(/[!-/:-@[-`{-~]/g, hide))
    .replace(image, '')
    .replace(link, '$1')
    .replace(autolink, '$1')
    .replace(tag, '')
    .replace(stars, '$2')
    .replace(stars, '$2')
    .replace(underscores, '$2')
    .replace(strike, '$1')
    .replace(strayOpening, '$1')
    .replace(strayClosing, '')
  return foldSpace(decodeEntities(text).replace(sheltered, show))
}

function hide(char: string): string {
  return String.fromCharCode(shelter + char.charCodeAt(0))
}

function show(char: string): string {
  return String.fromCharCode(char.charCodeAt(0) - shelter)
}
