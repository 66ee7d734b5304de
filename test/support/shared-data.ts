import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * The folder of real inputs beside the repository, or undefined where it is absent: then a test skips and
 * says so. In CI (`CI` set) it has to be there.
 */
export function sharedData(): string | undefined {
  const folder = fileURLToPath(new URL('../../../shared/data/', import.meta.url))
  if (existsSync(folder)) return folder
  if (process.env['CI']) throw new Error(`the real inputs are missing: ${folder}`)
  return undefined
}
