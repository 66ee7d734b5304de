import { once } from 'node:events'
import { connect as connectSocket, createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { anything, publishNotes, takeRows, until } from './support.ts'

/** A way to a server on which one byte is changed: the one at `offset` from the text, each time it passes. */
async function damagingWay(
  t: Test,
  url: string,
  text: string,
  offset: number,
  value: number,
): Promise<string> {
  const target = new URL(url)
  const { hostname, port } = target
  const server = createServer((client) => {
    const upstream = connectSocket(Number(port), hostname)
    for (const socket of [client, upstream]) socket.on('error', () => undefined)
    client.pipe(upstream)
    upstream.on('data', (bytes: Buffer) => {
      const at = bytes.indexOf(text)
      if (at !== -1) bytes[at + offset] = value
      client.write(bytes)
    })
    upstream.on('close', () => client.destroy())
    client.on('close', () => upstream.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  target.port = String((server.address() as AddressInfo).port)
  return target.href
}

const marker = 'THE MARKED TEXT'

t.test('a damaged message stops the stream, and nothing is acknowledged from then on', async (t) => {
  // The text's own length and kind, the count of columns, the mark of the row, the table, the message's tag, the
  // header's tag: all before the text in an insert of two columns (int4, text) sent as bytes.
  const damages: [string, number, number][] = [
    ['a length past the end', -4, 0x70],
    ['a length that is too short', -1, 3],
    ['an unknown kind of column', -5, 0x21],
    ['a column too many', -15, 3],
    ['a row without its mark', -17, 0x21],
    ['a table that nobody described', -19, 0x7f],
    ['an unknown message', -22, 0x21],
    ['neither log nor keepalive', -47, 0x21],
  ]
  const primary = await publishNotes(t)
  for (const [number, [name, offset, value]] of damages.entries()) {
    const ids = [number * 2, number * 2 + 1]
    const way = await damagingWay(t, primary.url, marker, offset, value)
    const stream = await primary.open({ connectionString: way })
    await primary.db.query('insert into notes values ($1)', [ids[0]])
    const before = await stream.nextBatch(anything)
    if (before === null) throw new Error('the stream ended')
    const slotLsn = await primary.slotLsn()
    await primary.db.query('insert into notes values ($1, $2)', [ids[1], marker])
    await t.rejects(stream.nextBatch(anything), { code: 'PGOUTPUT_DAMAGED' }, name)
    stream.ackDurable(before.end)
    await stream.close()
    await until(async () => {
      const { rows } = await primary.db.query(
        'select from pg_replication_slots where slot_name = $1 and active',
        [primary.slot],
      )
      return rows.length === 0
    })
    t.equal(await primary.slotLsn(), slotLsn, 'not even what came before it')
    const again = await primary.open()
    t.same(await takeRows(again, 2), ids, 'both come again')
    await again.close()
  }
})
