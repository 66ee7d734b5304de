import type { Side } from '../../replication/finding.ts'
import type { Effect } from '../../replication/schema-difference.ts'

/** One change that a person makes by hand, and what ops schema diff makes of it. */
export interface Case {
  /** what a person does by hand, and where */
  on: Side
  change: string
  code: string
  side: Side
  effect: Effect
  message: RegExp
  fix: RegExp
  /** where the fix is no statement, or undoes too little for the next case */
  undo?: readonly [Side, string]
  /** codes that come along */
  more?: string[]
}

const later = 'stopsLater'

export const columnCases: readonly Case[] = [
  {
    on: 'primary',
    change: 'alter table segments add column note text',
    code: 'COLUMN_UNKNOWN',
    side: 'primary',
    effect: later,
    message: /segments\.note \(text\) exists on the primary only/,
    fix: /^alter table segments add column note text$/,
  },
  {
    on: 'primary',
    change: 'alter table segments rename column note to remark',
    code: 'COLUMN_RENAMED',
    side: 'cloud',
    effect: later,
    message: /segments\.remark is called note on the cloud/,
    fix: /rename column note to remark/,
  },
  {
    on: 'primary',
    change: 'alter table segments drop column remark',
    code: 'COLUMN_UNKNOWN',
    side: 'cloud',
    effect: 'harmless',
    message: /segments\.remark \(text\) exists in the cloud only, and stays empty/,
    fix: /drop column remark/,
  },
  {
    on: 'cloud',
    change: 'alter table segments drop column chapter',
    code: 'COLUMN_MISSING',
    side: 'cloud',
    effect: later,
    message: /segments lacks chapter \(text on the primary\)/,
    fix: /^alter table segments add column chapter text$/,
  },
  {
    on: 'primary',
    change: 'alter table segments rename column chapter to "Kapitel 1"',
    code: 'COLUMN_RENAMED',
    side: 'primary',
    effect: later,
    message: /segments\.chapter is called Kapitel 1 on the primary/,
    fix: /rename column "Kapitel 1" to chapter/,
  },
  {
    on: 'primary',
    change: 'alter table segments drop column chapter',
    code: 'COLUMN_MISSING',
    side: 'primary',
    effect: 'bends',
    message: /segments lacks chapter \(text in the cloud\)/,
    fix: /^alter table segments add column chapter text$/,
  },
  {
    on: 'cloud',
    change: 'alter table lexicon add column weight real not null',
    code: 'COLUMN_UNKNOWN',
    side: 'cloud',
    effect: later,
    message: /lexicon\.weight \(real\) exists in the cloud only, and needs a value/,
    fix: /drop column weight/,
  },
  {
    on: 'primary',
    change: 'alter table lexicon alter column documents type bigint',
    code: 'TYPE_DIFFERS',
    side: 'cloud',
    effect: later,
    message: /lexicon\.documents is integer in the cloud and bigint on the primary/,
    fix: /type bigint using documents::bigint/,
  },
  {
    on: 'cloud',
    change: 'alter table sources alter column channel type varchar(20)',
    code: 'TYPE_DIFFERS',
    side: 'cloud',
    effect: later,
    message: /character varying\(20\) in the cloud and text/,
    fix: /type text/,
  },
  {
    on: 'cloud',
    change: 'alter table embeddings alter column embedding type halfvec(3)',
    code: 'TYPE_DIFFERS',
    side: 'cloud',
    effect: later,
    message: /halfvec\(3\) in the cloud and halfvec on the primary/,
    fix: /type halfvec using/,
  },
  {
    on: 'cloud',
    change: 'alter table sources alter column channel set not null',
    code: 'NOT_NULL_DIFFERS',
    side: 'cloud',
    effect: later,
    message: /sources\.channel may not be null in the cloud/,
    fix: /alter column channel drop not null/,
  },
  {
    on: 'primary',
    change: 'alter table sources alter column change_seq drop default',
    code: 'DEFAULT_DIFFERS',
    side: 'primary',
    effect: 'harmless',
    message: /the default of sources\.change_seq is none on the primary/,
    fix: /set default nextval\('change_seq'::regclass\)/,
  },
  {
    on: 'cloud',
    change:
      'alter table sources drop column views; alter table sources add column views bigint generated always as (duration_ms) stored',
    code: 'COLUMN_GENERATED',
    side: 'cloud',
    effect: later,
    message: /sources\.views is made by the server on the cloud only/,
    fix: /alter column views drop expression/,
    // The check of the column went with it.
    more: ['CONSTRAINT_DIFFERS'],
    undo: ['cloud', 'alter table sources add check (views >= 0)'],
  },
]
