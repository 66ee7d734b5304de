import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createLog } from '../../../../core/log.ts'
import { batchInFile, verifySpoolFile } from '../../../../replication/relay/spool/spool-reader.ts'
import { openSpool } from '../../../../replication/relay/spool/spool.ts'
import { temporaryFolder } from '../../../support/api.ts'
import { pick, randomNumbers } from '../../../support/random.ts'
import { endOf, fingerprint } from './sample-batch.ts'

const log = createLog({ name: 'test', level: 'silent' })
const program = fileURLToPath(new URL('./spooling-process.ts', import.meta.url))
/** The last one: from outside, whatever it is doing. */
const places = ['spool.before-fsync', 'spool.after-fsync', 'spool.before-ack', 'anywhere'] as const

/** More for a longer look: HOMEPORT_CRASH_SEEDS=500. */
const seeds = Number(process.env['HOMEPORT_CRASH_SEEDS'] ?? 56)
/** Crashes one after the other in the same folder. */
const crashesEach = 7

/** What a spool must hold, by what its processes said. */
interface Ledger {
  acked: Map<number, string>
  /** the highest that the cloud would have */
  removed: number
}

t.test('killed anywhere, what was acknowledged is there, in one chain', async (t) => {
  // Two folders at a time: starting a process is most of the work.
  const folders = Array.from({ length: Math.ceil(seeds / crashesEach) }, (_, place) => place)
  const work = async (): Promise<void> => {
    for (let place = folders.shift(); place !== undefined; place = folders.shift()) await crashAgain(t, place)
  }
  await Promise.all([work(), work()])
})

async function crashAgain(t: Test, place: number): Promise<void> {
  const folder = join(temporaryFolder(t), 'spool')
  const ledger: Ledger = { acked: new Map(), removed: 0 }
  for (let crash = 0; crash < crashesEach; crash += 1) {
    const seed = place * crashesEach + crash
    const failpoint = places[seed % places.length] ?? places[0]
    const nth = 1 + pick(randomNumbers(seed), 12)
    const newest = Math.max(0, ...ledger.acked.keys())
    const said = await spoolUntilKilled({ folder, seed, failpoint, nth, start: newest })
    record(ledger, said)
    const name = `seed ${seed}: killed the ${nth}. time at ${failpoint}`
    const unacked = await checkSpool(t, folder, ledger, name)
    // One that is whole counts, acknowledged or not: the stream goes on behind it.
    if (failpoint === 'spool.before-ack') t.equal(unacked, 1, `${name}: the last one is kept`)
    else if (failpoint !== 'anywhere') t.equal(unacked, 0, `${name}: no half is kept`)
  }
}

/** Opens the spool and compares it with the ledger. @returns how many batches nobody was told of */
async function checkSpool(t: Test, folder: string, ledger: Ledger, name: string): Promise<number> {
  const spool = await openSpool({ folder, log })
  const found = new Map<number, string>()
  let after = spool.firstAfter
  // A copy, so that looking does not change what the next crash meets.
  for (const batch of await allBatches(folder)) {
    if (batch.after !== after) t.fail(`${name}: the chain is broken at ${batch.after}`)
    after = batch.end
    found.set(batch.number, batch.hash)
  }
  t.equal(spool.batches, found.size, `${name}: ${spool.batches} batches in one chain`)
  const lost = [...ledger.acked].filter(
    ([number, hash]) => number > ledger.removed && found.get(number) !== hash,
  )
  t.strictSame(lost, [], `${name}: all that was acknowledged is there`)
  t.ok(
    readdirSync(folder).every((file) => !file.endsWith('.writing')),
    `${name}: no half is left`,
  )
  const newest = Math.max(0, ...found.keys())
  // The next process begins behind it, as the stream would.
  const unknown = [...found.keys()].filter((number) => !ledger.acked.has(number))
  for (const number of unknown) ledger.acked.set(number, found.get(number) ?? '')
  t.ok(
    unknown.every((number) => number === newest),
    `${name}: at most the newest was not acknowledged yet`,
  )
  await spool.close()
  return unknown.length
}

async function allBatches(
  folder: string,
): Promise<{ number: number; after: string; end: string; hash: string }[]> {
  const found = []
  for (const file of readdirSync(folder).sort()) {
    const path = join(folder, file)
    const { description } = await verifySpoolFile(path)
    const batch = batchInFile(path, description)
    const number = Number.parseInt(batch.end.split('/')[1] ?? '0', 16) / 0x100
    if (batch.end !== endOf(number)) throw new Error(`${batch.end} is no end of ours`)
    found.push({ number, after: batch.after, end: batch.end, hash: await fingerprint(batch) })
  }
  return found
}

function record(ledger: Ledger, said: string): void {
  for (const line of said.split('\n')) {
    const [what, number, hash] = line.split(' ')
    if (what === 'acked') ledger.acked.set(Number(number), hash ?? '')
    if (what === 'removing') ledger.removed = Math.max(ledger.removed, Number(number))
  }
}

interface Spooling {
  folder: string
  seed: number
  failpoint: string
  nth: number
  start: number
}

function spoolUntilKilled({ folder, seed, failpoint, nth, start }: Spooling): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = [program, folder, seed, failpoint, nth, start].map(String)
    const child = spawn(process.execPath, ['--import', 'tsx', ...args], {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    let complaint = ''
    child.stdout.on('data', (text: Buffer) => {
      said += text.toString()
      if (failpoint === 'anywhere' && said.split('acked').length > nth) child.kill('SIGKILL')
    })
    child.stderr.on('data', (text: Buffer) => (complaint += text.toString()))
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(said.slice(0, said.lastIndexOf('\n') + 1))
      else reject(new Error(`it ended by itself (${code}): ${complaint}`))
    })
  })
}
