import type { Side } from './finding.ts'

/** One statement of a plan. */
export interface Step {
  side: Side
  /** what it does, in words */
  what: string
  /** what is sent */
  sql: string
  /** what a person or a log may see, when `sql` carries a secret */
  shown?: string
  kind?: 'slot' | 'subscription'
  /** it sets the address under which the cloud reaches the primary */
  connects?: boolean
  /** sets what this role cannot read, so perhaps what it is already: no change to report */
  repeated?: boolean
  /** the slot that a step of kind slot makes */
  slot?: string
}

/** A plan as SQL to read, without secrets. */
export function describeSteps(steps: readonly Step[]): string {
  return steps.map((step) => `-- ${step.side}: ${step.what}\n${step.shown ?? step.sql};`).join('\n')
}
