import { setImmediate as turn } from 'node:timers/promises'

/** Lets waiting requests run between two slices of a long computation. */
export type Pause = () => Promise<void> | undefined

/** A pause that gives way when the slice since the last one took longer than `sliceMs`, and costs next to nothing before. */
export function createPause(sliceMs = 8): Pause {
  let since = performance.now()
  return () => {
    if (performance.now() - since < sliceMs) return undefined
    return turn().then(() => {
      since = performance.now()
    })
  }
}
