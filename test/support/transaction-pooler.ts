import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import pg from 'pg'
import type { Test } from 'tap'

/** A message of the protocol with its type; the start-up packet has none. */
interface Message {
  type: string
  bytes: Buffer
}

interface Backend {
  socket: Socket
  client: pg.Client
}

/**
 * What a client sees of a pooler in transaction mode (pgbouncer's pool_mode, as hosted poolers have it):
 * every transaction on another session of the server, and no replication. Only for tests of that sight: it
 * takes whoever comes, and knows one database and role.
 */
export class TransactionPooler {
  /** transactions that were given a session */
  transactions = 0
  readonly #url: string
  readonly #idle: Backend[] = []
  readonly #all = new Set<Backend>()
  readonly #clients = new Set<Socket>()
  readonly #waiting: ((backend: Backend) => void)[] = []
  readonly #server = createServer({ noDelay: true }, (socket) => this.#accept(socket))

  constructor(url: string) {
    this.#url = url
  }

  async listen(sessions: number): Promise<void> {
    for (let n = 0; n < sessions; n += 1) await this.#addBackend()
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  through(url: string): string {
    const changed = new URL(url)
    changed.hostname = '127.0.0.1'
    changed.port = String((this.#server.address() as AddressInfo).port)
    return changed.href
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    for (const { socket } of this.#all) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  take(): Promise<Backend> {
    this.transactions += 1
    const backend = this.#idle.shift()
    return backend === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(backend)
  }

  give(backend: Backend): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#idle.push(backend)
    else waiting(backend)
  }

  /** A client left in the middle of a transaction: its session is thrown away. */
  discard(backend: Backend): void {
    this.#all.delete(backend)
    backend.socket.destroy()
    void this.#addBackend().catch(() => undefined)
  }

  async #addBackend(): Promise<void> {
    const client = new pg.Client({ connectionString: this.#url, application_name: 'test pooler' })
    client.on('error', () => undefined)
    await client.connect()
    // The driver did the handshake; from here on the socket is ours.
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
    stream.removeAllListeners('data')
    stream.on('error', () => undefined)
    const backend = { socket: stream, client }
    this.#all.add(backend)
    this.give(backend)
  }

  #accept(socket: Socket): void {
    this.#clients.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#clients.delete(socket))
    new PooledClient(this, socket)
  }
}

class PooledClient {
  readonly #pooler: TransactionPooler
  readonly #socket: Socket
  readonly #fromClient = new MessageReader(true)
  #backend: Backend | undefined
  /** answers that end with ReadyForQuery and are still to come */
  #due = 0
  #work: Promise<void> = Promise.resolve()
  readonly #onAnswer: (bytes: Buffer) => void

  constructor(pooler: TransactionPooler, socket: Socket) {
    this.#pooler = pooler
    this.#socket = socket
    let answers = new MessageReader(false)
    this.#onAnswer = (bytes) => {
      for (const message of answers.read(bytes)) {
        socket.write(message.bytes)
        if (message.type !== 'Z') continue
        this.#due -= 1
        if (this.#due > 0 || message.bytes.toString('latin1', 5) !== 'I') continue
        answers = new MessageReader(false)
        this.#release()
      }
    }
    socket.on('data', (bytes: Buffer) => {
      for (const message of this.#fromClient.read(bytes)) {
        this.#work = this.#work.then(() => this.#handle(message))
      }
    })
    socket.on('close', () => {
      if (this.#backend === undefined) return
      this.#backend.socket.off('data', this.#onAnswer)
      this.#pooler.discard(this.#backend)
    })
  }

  async #handle({ type, bytes }: Message): Promise<void> {
    if (type === '') this.#start(bytes)
    else if (type === 'X') this.#socket.end()
    else {
      if (this.#backend === undefined) {
        this.#backend = await this.#pooler.take()
        this.#backend.socket.on('data', this.#onAnswer)
      }
      if (['Q', 'S', 'F'].includes(type)) this.#due += 1
      this.#backend.socket.write(bytes)
    }
  }

  #release(): void {
    const backend = this.#backend
    if (backend === undefined) return
    backend.socket.off('data', this.#onAnswer)
    this.#backend = undefined
    this.#pooler.give(backend)
  }

  #start(bytes: Buffer): void {
    // An SSLRequest: no TLS here; the start-up packet follows.
    if (bytes.readInt32BE(4) === 80877103) {
      this.#socket.write('N')
      this.#fromClient.expectStart()
      return
    }
    const words = bytes.toString('utf8', 8).split('\0')
    if (words.includes('replication')) {
      const text = 'SFATAL\0C08P01\0Munsupported startup parameter: replication\0\0'
      this.#socket.end(encode('E', Buffer.from(text)))
      return
    }
    const settings = [
      'server_version\x0015.0\0',
      'client_encoding\0UTF8\0',
      'standard_conforming_strings\0on\0',
    ]
    this.#socket.write(
      Buffer.concat([
        encode('R', Buffer.alloc(4)),
        ...settings.map((text) => encode('S', Buffer.from(text))),
        encode('K', Buffer.alloc(8)),
        encode('Z', Buffer.from('I')),
      ]),
    )
  }
}

function encode(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, 0)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** Cuts a stream of bytes into messages. */
class MessageReader {
  #rest: Buffer = Buffer.alloc(0)
  #isStart: boolean

  constructor(beginsWithStart: boolean) {
    this.#isStart = beginsWithStart
  }

  expectStart(): void {
    this.#isStart = true
  }

  *read(bytes: Buffer): Generator<Message> {
    this.#rest = Buffer.concat([this.#rest, bytes])
    for (;;) {
      const lengthAt = this.#isStart ? 0 : 1
      if (this.#rest.length < lengthAt + 4) return
      const end = lengthAt + this.#rest.readInt32BE(lengthAt)
      if (this.#rest.length < end) return
      const message = this.#rest.subarray(0, end)
      this.#rest = this.#rest.subarray(end)
      const type = this.#isStart ? '' : String.fromCharCode(message[0] ?? 0)
      this.#isStart = false
      yield { type, bytes: message }
    }
  }
}

/** A pooler in front of the database and role of a URL, closed after the test. */
export async function startTransactionPooler(
  t: Pick<Test, 'teardown'>,
  url: string,
  sessions = 3,
): Promise<TransactionPooler> {
  const pooler = new TransactionPooler(url)
  await pooler.listen(sessions)
  t.teardown(() => pooler.close())
  return pooler
}
