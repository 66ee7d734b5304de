import { once } from 'node:events'
import { createServer, Socket, type AddressInfo, type Server } from 'node:net'
import type { Test } from 'tap'
import { DelayLine, type LineToxics } from './delay-line.ts'

/** What goes wrong on the way; after toxiproxy's toxics. Set together, at any time, for all connections. */
export interface Toxics extends LineToxics {
  /**
   * A middlebox that forgot the connections: what arrives is accepted and lost, and no end is passed on.
   * Connections that met it stay dead when it is lifted.
   */
  isBlackhole: boolean
  /** new connections are reset */
  isDown: boolean
  /** a connection is reset after this many bytes to the server; 0 is no limit */
  limitBytes: number
  /** an end is passed on this much later */
  slowCloseMs: number
}

const harmless: Toxics = {
  latencyMs: 0,
  bytesPerSecond: 0,
  sliceBytes: 0,
  isStalled: false,
  isBlackhole: false,
  isDown: false,
  limitBytes: 0,
  slowCloseMs: 0,
}

/** What a passing message must look like for its connection to break. */
interface Tripwire {
  from: 'client' | 'server'
  pattern: RegExp
  skip: number
  isDelivered: boolean
  sprung: () => void
}

/** A TCP proxy in front of one server that does what bad networks do. */
export class TcpProxy {
  /** bytes that were handed on */
  toServer = 0
  toClient = 0
  /** connections so far */
  accepted = 0
  /** Changes what the server answers, packet by packet. */
  mangle: (bytes: Buffer) => Buffer = (bytes) => bytes
  #target: { host: string; port: number }
  readonly #server: Server
  readonly #links = new Set<Link>()
  #toxics: Toxics = harmless
  #tripwire: Tripwire | undefined

  constructor(target: { host: string; port: number }) {
    this.#target = target
    // An end is passed on, never answered by the proxy itself.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get open(): number {
    return this.#links.size
  }

  get toxics(): Toxics {
    return this.#toxics
  }

  /** The same URL with the proxy as its host. */
  through(url: string): string {
    const changed = new URL(url)
    changed.hostname = '127.0.0.1'
    changed.port = String(this.port)
    return changed.href
  }

  /** New connections lead to another server. */
  retarget(url: string): void {
    const { hostname, port } = new URL(url)
    this.#target = { host: hostname, port: Number(port) }
  }

  /** Replaces all toxics; without argument the link is sound again. */
  set(toxics: Partial<Toxics> = {}): void {
    this.#toxics = { ...harmless, ...toxics }
    for (const link of this.#links) link.toxicsChanged()
  }

  /** Resets every connection, on both sides. */
  resetAll(): void {
    for (const link of this.#links) link.reset()
  }

  /**
   * Breaks a connection when the client sends a packet that matches, for the `skip` + 1st time. When
   * `isDelivered`, the server gets it and carries it out, and only the client is reset; otherwise it is
   * lost. Either way the client cannot know which. Resolves when it has happened.
   */
  resetWhenSent(
    pattern: RegExp,
    { skip = 0, isDelivered }: { skip?: number; isDelivered: boolean },
  ): Promise<void> {
    return new Promise((sprung) => {
      this.#tripwire = { from: 'client', pattern, skip, isDelivered, sprung }
    })
  }

  /** Breaks a connection instead of delivering the server's answer that matches. */
  resetWhenAnswered(pattern: RegExp, { skip = 0 }: { skip?: number } = {}): Promise<void> {
    return new Promise((sprung) => {
      this.#tripwire = { from: 'server', pattern, skip, isDelivered: false, sprung }
    })
  }

  /** What the tripwire says to a packet. */
  judge(from: 'client' | 'server', bytes: Buffer): 'pass' | 'deliver' | 'lose' {
    const wire = this.#tripwire
    if (wire?.from !== from || !wire.pattern.test(bytes.toString('latin1'))) return 'pass'
    if (wire.skip > 0) {
      wire.skip -= 1
      return 'pass'
    }
    this.#tripwire = undefined
    wire.sprung()
    return wire.isDelivered ? 'deliver' : 'lose'
  }

  async close(): Promise<void> {
    this.resetAll()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(client: Socket): void {
    this.accepted += 1
    client.on('error', () => undefined)
    if (this.#toxics.isDown) {
      client.resetAndDestroy()
      return
    }
    const link = new Link(this, client, this.#target)
    this.#links.add(link)
    link.onClosed = () => void this.#links.delete(link)
  }
}

/** One connection and its way on. */
class Link {
  onClosed: () => void = () => undefined
  readonly #proxy: TcpProxy
  readonly #client: Socket
  readonly #server: Socket
  readonly #lines: readonly DelayLine[]
  #sent = 0
  #isDead = false
  #isCut = false

  constructor(proxy: TcpProxy, client: Socket, target: { host: string; port: number }) {
    this.#proxy = proxy
    this.#client = client
    this.#server = new Socket({ allowHalfOpen: true })
    const up = new DelayLine(
      () => proxy.toxics,
      (bytes) => this.#toServer(bytes),
    )
    const down = new DelayLine(
      () => proxy.toxics,
      (bytes) => this.#toClient(bytes),
    )
    this.#lines = [up, down]
    this.#connect(client, this.#server, up)
    this.#connect(this.#server, client, down)
    this.toxicsChanged()
    this.#server.setNoDelay(true).connect(target.port, target.host)
  }

  toxicsChanged(): void {
    if (this.#proxy.toxics.isBlackhole) this.#isDead = true
    for (const line of this.#lines) line.wake()
  }

  reset(): void {
    for (const line of this.#lines) line.stop()
    this.#client.resetAndDestroy()
    this.#server.resetAndDestroy()
    this.onClosed()
  }

  #connect(from: Socket, to: Socket, line: DelayLine): void {
    from.on('data', (bytes: Buffer) => {
      if (this.#isDead) return
      line.push(bytes)
      if (!line.isFull && to.writableLength < 1 << 20) return
      from.pause()
      const resume = (): void => {
        if (line.isFull || to.writableLength >= 1 << 20) setTimeout(resume, 5)
        else from.resume()
      }
      setTimeout(resume, 5)
    })
    from.on('end', () => {
      if (this.#isDead) return
      const { slowCloseMs } = this.#proxy.toxics
      line.whenEmpty(() => void setTimeout(() => to.end(), slowCloseMs))
    })
    from.on('error', () => {
      if (!this.#isDead && !this.#isCut) this.reset()
    })
    from.on('close', () => {
      if (this.#client.destroyed && this.#server.destroyed) this.onClosed()
    })
  }

  #toServer(bytes: Buffer): void {
    if (this.#isDead || this.#client.destroyed) return
    const verdict = this.#proxy.judge('client', bytes)
    if (verdict === 'lose') {
      this.reset()
      return
    }
    const { limitBytes } = this.#proxy.toxics
    const passed = limitBytes > 0 ? bytes.subarray(0, Math.max(0, limitBytes - this.#sent)) : bytes
    this.#sent += bytes.length
    this.#proxy.toServer += passed.length
    this.#server.write(passed)
    if (verdict === 'deliver') this.#cutClient()
    else if (passed.length < bytes.length) this.reset()
  }

  #toClient(bytes: Buffer): void {
    if (this.#isDead || this.#client.destroyed) return
    if (this.#proxy.judge('server', bytes) === 'lose') {
      this.reset()
      return
    }
    this.#proxy.toClient += bytes.length
    this.#client.write(this.#proxy.mangle(bytes))
  }

  /** The client is gone at once; the server carries out what it has got and then meets the end. */
  #cutClient(): void {
    this.#isCut = true
    this.#client.resetAndDestroy()
    this.#server.end()
  }
}

/** A proxy in front of the server that a URL names, closed after the test. */
export async function startTcpProxy(t: Pick<Test, 'teardown'>, url: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(url)
  const proxy = new TcpProxy({ host: hostname, port: Number(port) })
  await proxy.listen()
  t.teardown(() => proxy.close())
  return proxy
}
