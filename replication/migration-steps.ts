import { isContract } from '../core/migrate.ts'
import type { Side } from './finding.ts'

/** Some migrations for one side; before those that take away something in the cloud, it must have caught up. */
export interface MigrationStep {
  side: Side
  names: readonly string[]
  /** wait until the cloud has everything that was written before */
  fence: boolean
}

/**
 * The order in which missing migrations are applied. What adds goes to the cloud first: a subscription stops at a
 * column that only the primary has, and ignores one that only the cloud has. What takes away (*.contract.sql) goes
 * to the primary first, and to the cloud when nothing is on its way that was written before.
 */
export function planMigrationSteps(
  names: readonly string[],
  missing: Readonly<Record<Side, readonly string[]>>,
): MigrationStep[] {
  return groupByKind(names).flatMap((group) => {
    const of = (side: Side): string[] => group.filter((name) => missing[side].includes(name))
    const contracts = isContract(group[0] ?? '')
    const cloud = { side: 'cloud', names: of('cloud'), fence: contracts } as const
    const primary = { side: 'primary', names: of('primary'), fence: false } as const
    return (contracts ? [primary, cloud] : [cloud, primary]).filter((step) => step.names.length > 0)
  })
}

function groupByKind(names: readonly string[]): string[][] {
  const groups: string[][] = []
  for (const name of names) {
    const last = groups.at(-1)
    if (last !== undefined && isContract(last[0] ?? '') === isContract(name)) last.push(name)
    else groups.push([name])
  }
  return groups
}
