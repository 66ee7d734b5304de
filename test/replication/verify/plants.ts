import { join } from 'node:path'
import type { Test } from 'tap'
import type pg from 'pg'
import type { ExactVerification } from '../../../replication/verify/findings.ts'
import { temporaryFolder } from '../../support/api.ts'
import { Ledger } from '../../support/oracles/ledger.ts'
import { pick, randomNumbers } from '../../support/random.ts'
import { prepareWorkload, runWorkload } from '../../support/workload.ts'
import { insertTalk } from '../support.ts'

/** Rows that no writer touches: talks 1 to `talks`, and terms of model 1 from 0 to `terms - 1`. */
export const content = { talks: 60, terms: 200 } as const

/** Content with something for every plant; before the cloud follows, or after. */
export async function prepareContent(primary: pg.Pool): Promise<void> {
  await prepareWorkload(primary)
  for (let id = 1; id <= content.talks; id += 1) await insertTalk(primary, { id })
  await primary.query(`update segments set confidence = 0.5, speaker = ''`)
  await primary.query(`insert into model_terms select 1, i, '[1,2,3]' from generate_series(0, $1 - 1) i`, [
    content.terms,
  ])
}

/** A difference made in the cloud alone, and what must be said about it. */
export interface Plant {
  name: string
  /** on the cloud */
  sql: string
  table: string
  difference: readonly string[]
}

/** Pure: every kind of plant once, each at another row that the seed chooses. */
export function choosePlants(seed: number): Plant[] {
  const random = randomNumbers(seed)
  const ids = Array.from({ length: content.talks - 2 }, (_, place) => place + 2)
  const takeId = (): number => ids.splice(pick(random, ids.length), 1)[0] ?? 0
  const [bit, float, empty, swapped, microsecond, missing, deep] = Array.from({ length: 7 }, takeId)
  const terms = Array.from({ length: content.terms - 2 }, (_, place) => place + 1)
  const takeTerm = (): number => terms.splice(pick(random, terms.length), 1)[0] ?? 0
  const changed = (table: string, key: readonly (number | undefined)[], ...columns: string[]) => ({
    table,
    difference: ['changed', ...key.map(String), ...columns],
  })
  const basis = takeTerm()
  const lost = takeTerm()
  return [
    {
      name: 'a bit of a vector',
      sql: `update embeddings set embedding = '[1.0009765625,0.5,0.25]' where segment_id = ${bit}`,
      ...changed('embeddings', [1, bit], 'embedding'),
    },
    {
      name: 'the last bit of a basis',
      sql: `update model_terms set basis = '[1,2,3.001953125]' where model_id = 1 and term = ${basis}`,
      ...changed('model_terms', [1, basis], 'basis'),
    },
    {
      name: 'the last bit of a float',
      sql: `update segments set confidence = 0.50000006 where id = ${float}`,
      ...changed('segments', [float], 'confidence'),
    },
    {
      name: 'null in place of an empty text',
      sql: `update segments set speaker = null where id = ${empty}`,
      ...changed('segments', [empty], 'speaker'),
    },
    {
      name: 'two columns swapped',
      sql: `update segments set speaker = chapter, chapter = speaker where id = ${swapped}`,
      ...changed('segments', [swapped], 'chapter', 'speaker'),
    },
    {
      name: 'a microsecond',
      sql: `update sources set processed_at = processed_at + interval '1 microsecond' where id = ${microsecond}`,
      ...changed('sources', [microsecond], 'processed_at'),
    },
    {
      name: 'one letter of a text',
      sql: `update segments set text = overlay(text placing 'W' from 1) where id = ${deep}`,
      ...changed('segments', [deep], 'text'),
    },
    {
      name: 'the first row',
      sql: `update segment_terms set length = 3 where segment_id = 1`,
      ...changed('segment_terms', [1], 'length'),
    },
    {
      name: 'the first row is gone',
      sql: 'delete from model_terms where model_id = 1 and term = 0',
      table: 'model_terms',
      difference: ['missing', '1', '0'],
    },
    {
      name: 'the last row is gone',
      sql: `delete from model_terms where model_id = 1 and term = ${content.terms - 1}`,
      table: 'model_terms',
      difference: ['missing', '1', String(content.terms - 1)],
    },
    {
      name: 'a row is gone',
      sql: `delete from model_terms where model_id = 1 and term = ${lost}`,
      table: 'model_terms',
      difference: ['missing', '1', String(lost)],
    },
    {
      name: 'a row with what belongs to it',
      sql: `delete from segment_terms where segment_id = ${missing}`,
      table: 'segment_terms',
      difference: ['missing', String(missing)],
    },
    {
      name: 'a row before the first',
      sql: `insert into model_terms values (0, 5, '[1,2,3]')`,
      table: 'model_terms',
      difference: ['extra', '0', '5'],
    },
    {
      name: 'a row after the last',
      sql: `insert into embeddings values (9, 9223372036854775807, 'public', '[1,2,3]', 1)`,
      table: 'embeddings',
      difference: ['extra', '9', '9223372036854775807'],
    },
    {
      name: 'a private row',
      sql: `insert into segment_terms values (-7, 'private', '{1}', '{1}', 1)`,
      table: 'segment_terms',
      difference: ['extra', '-7'],
    },
  ]
}

/**
 * What a run proved, and what it left open, in words that compare. A row of the bank, which three sessions write
 * all the time, may be left open on a machine that is busy: that is said, and is no alarm.
 */
export function saidUnderWrites(results: readonly ExactVerification[]): ReturnType<typeof said> {
  const isHot = (one: string): boolean => /^lexicon: .* changed during every comparison$/.test(one)
  const { proven, undetermined } = said(results)
  return { proven, undetermined: undetermined.filter((one) => !isHot(one)) }
}

/** What a run proved, and what it left open, in words that compare. */
export function said(results: readonly ExactVerification[]): { proven: string[]; undetermined: string[] } {
  return {
    proven: results
      .flatMap((one) =>
        one.differences.map((difference) =>
          [one.table, difference.kind, ...difference.key, ...difference.columns].join(' '),
        ),
      )
      .sort(),
    undetermined: results.filter((one) => one.reason !== null).map((one) => `${one.table}: ${one.reason}`),
  }
}

/** What must be said of plants, sorted. */
export function expected(plants: readonly Plant[]): string[] {
  return plants.map((plant) => [plant.table, ...plant.difference].join(' ')).sort()
}

export interface Writing {
  /** transactions so far */
  count(): number
  stop(): Promise<number>
}

/** Every kind of transaction that travels, from three sessions, until it is stopped. */
export function startWriting(t: Test, url: string, seed: number): Writing {
  const ledger = new Ledger(join(temporaryFolder(t), 'ledger'))
  const stopped = new AbortController()
  const startedAt = performance.now()
  let count = 0
  const begin = ledger.begin.bind(ledger)
  ledger.begin = (payload) => {
    count += 1
    return begin(payload)
  }
  const done = runWorkload({ url, ledger, seed, operations: Infinity, signal: stopped.signal })
  const stop = async (): Promise<number> => {
    stopped.abort()
    await done
    return (1000 * count) / (performance.now() - startedAt)
  }
  t.teardown(async () => {
    await stop()
    ledger.close()
  })
  return { count: () => count, stop }
}
