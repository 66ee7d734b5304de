/** What a test does when the program comes by: throw, kill the process, wait. */
export type FailpointAction = (name: string) => Promise<void> | void

let action: FailpointAction | undefined

/** Arms every failpoint of this process; only tests do. */
export function armFailpoints(armed: FailpointAction | undefined): void {
  action = armed
}

/** A place where a test may make the program fail. The production build takes these calls out. */
export async function failpoint(name: string): Promise<void> {
  await action?.(name)
}
