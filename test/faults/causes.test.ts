import t, { type Test } from 'tap'
import { meet, type Cause, type Said } from './causes/support.ts'
import { causesFromFacts } from './causes/from-facts.ts'
import { nativeCauses } from './causes/native.ts'
import { relayCauses } from './causes/relay.ts'
import { serverCauses } from './causes/servers.ts'
import { setupCauses } from './causes/setup.ts'

/** A command, a statement, a setting; and for a disk, a server or a program of others, what a person does. */
const command =
  /\bops [a-z]|(?:alter|drop|create|truncate|select) |createdb|postgresql-\d+-|[A-Z]+_URL|_(?:size|addresses)|^(?:stop|free|put|upgrade|look) /

const said: (Said & { cause: string })[] = []

const groups: readonly [string, (t: Test) => Promise<readonly Cause[]>][] = [
  ['judged from facts', () => Promise.resolve(causesFromFacts)],
  ['before replication is set up', setupCauses],
  ['a whole server', serverCauses],
  ['under a subscription', nativeCauses],
  ['under a relay', relayCauses],
]

for (const [group, causes] of groups) {
  t.test(group, async (t) => {
    for (const cause of await causes(t)) {
      const found = await meet(t, cause)
      if (found !== undefined) said.push({ ...found, cause: cause.name })
    }
  })
}

t.test('no two causes look alike, and each has its command', async (t) => {
  t.ok(said.length >= 25, `${said.length} causes`)
  for (const [place, one] of said.entries()) {
    for (const other of said.slice(place + 1)) {
      t.not(one.message, other.message, `${one.cause} and ${other.cause} say something else`)
      t.notSame(
        [one.code, one.fix],
        [other.code, other.fix],
        `${one.cause} and ${other.cause} have their own command`,
      )
    }
    t.match(one.fix, command, `${one.cause} names what to run or set`)
  }
  for (const one of said) t.notMatch(`${one.message} ${one.fix}`, /undefined|\[object/, one.cause)
})
