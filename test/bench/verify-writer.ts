import { connect } from '../../core/db.ts'

// Small updates at a steady pace; sends its parent how many milliseconds each took, from its sending to the answer.
const [url = '', updates, updatesPerSecond] = process.argv.slice(2)
const db = await connect({ connectionString: url, applicationName: 'homeport bench' })
const times: number[] = []
const startedAt = performance.now()
for (let n = 0; n < Number(updates); n += 1) {
  const dueAt = startedAt + (1000 * n) / Number(updatesPerSecond)
  const waitMs = dueAt - performance.now()
  if (waitMs > 0) await new Promise((go) => setTimeout(go, waitMs))
  const sentAt = performance.now()
  await db.query({
    name: 'bench update',
    text: 'update lexicon set documents = documents + 1 where term = $1',
    values: [1 + (n % 1000)],
  })
  times.push(performance.now() - sentAt)
}
await db.end()
process.send?.(times)
