import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A collection with questions and the documents (by position) that answer them. */
export interface JudgedSet {
  name: string
  documents: string[]
  questions: { text: string; relevant: ReadonlySet<number> }[]
}

/** Cranfield: abstracts on aerodynamics. Grades 1 to 4 count as relevant; query n is the n-th of the file. */
export function readCranfield(dataFolder: string): JudgedSet {
  const read = (name: string) => readFileSync(join(dataFolder, 'cranfield', name), 'latin1')
  const bodies = (text: string) =>
    text
      .split(/^\.I \d+\s*$/m)
      .slice(1)
      .map((entry) => entry.split(/^\.W\s*$/m)[1]?.trim() ?? '')
  const documents = bodies(read('cran.all.1400'))
  const relevant = bodies(read('cran.qry')).map((text) => ({ text, relevant: new Set<number>() }))
  for (const line of read('cranqrel').split('\n')) {
    const [query, document, grade] = line.trim().split(/\s+/).map(Number)
    if (query === undefined || document === undefined || grade === undefined || grade < 1) continue
    relevant[query - 1]?.relevant.add(document - 1)
  }
  return { name: 'cranfield', documents, questions: relevant.filter((one) => one.relevant.size > 0) }
}

interface Meeting {
  meeting_transcripts: { speaker: string; content: string }[]
  specific_query_list: { query: string; relevant_text_span: [string, string][] }[]
}

/**
 * QMSum: meetings in one pool, chunks of about 220 words on turn borders; a chunk is relevant when it
 * overlaps a span that answers the question.
 */
export function readQmsum(dataFolder: string): JudgedSet {
  const folder = join(dataFolder, 'qmsum')
  const documents: string[] = []
  const questions: JudgedSet['questions'] = []
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.json')) continue
    const meeting = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Meeting
    const chunkOfTurn: number[] = []
    let chunk: string[] = []
    let words = 0
    for (const turn of meeting.meeting_transcripts) {
      const content = `${turn.speaker}: ${turn.content.replace(/\{\w+\}/g, ' ')}`
      chunkOfTurn.push(documents.length)
      chunk.push(content)
      words += content.split(/\s+/).filter(Boolean).length
      if (words < 220) continue
      documents.push(chunk.join('\n'))
      chunk = []
      words = 0
    }
    if (chunk.length > 0) documents.push(chunk.join('\n'))
    for (const { query, relevant_text_span: spans } of meeting.specific_query_list) {
      const relevant = new Set<number>()
      for (const [from, to] of spans) {
        for (let turn = Number(from); turn <= Number(to); turn++) {
          const found = chunkOfTurn[turn]
          if (found !== undefined) relevant.add(found)
        }
      }
      if (relevant.size > 0) questions.push({ text: query, relevant })
    }
  }
  return { name: 'qmsum', documents, questions }
}
