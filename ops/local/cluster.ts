import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { HomeportError } from '../../core/errors.ts'
import { processIdentity } from '../../core/process-identity.ts'
import { createDataDirectory, draftOf } from './data-directory.ts'
import { shortHash } from './data-folder.ts'
import type { PostgresBinaries } from './find-postgres.ts'
import { choosePort } from './ports.ts'
import { renderSettings, socketFolder } from './postgres-settings.ts'
import { postgresTool } from './postgres-tool.ts'
import { commandLineOf, endProcess, findProcesses, signalProcess } from './processes.ts'
import { unprivilegedUser, type UnixUser } from './unprivileged-user.ts'

export interface ClusterOptions {
  /** `primary` or `cloud`, for messages. */
  name: string
  /** The cluster's own folder, where {@link resolveDataFolder} said. Created when absent. */
  folder: string
  postgres: PostgresBinaries
  /** False: no fsync, for tests. */
  durable?: boolean
  /** How much WAL a lagging slot may hold back; unlimited when absent. */
  slotWalLimitMb?: number
}

export type ClusterStatus = 'absent' | 'stopped' | 'running'

const superuser = 'postgres'
const startTimeoutSeconds = 120

/**
 * A private Postgres server in a folder of its own: only this machine reaches it, with a password that
 * lies in the folder, on a port that is remembered there. Runs as an unprivileged user when we are root.
 */
export class Cluster {
  readonly name: string
  readonly folder: string
  readonly host = '127.0.0.1'
  readonly #postgres: PostgresBinaries
  readonly #durable: boolean
  readonly #slotWalLimitMb: number | undefined
  readonly #user: UnixUser | undefined
  readonly #title: string

  constructor(options: ClusterOptions) {
    this.name = options.name
    this.folder = options.folder
    this.#postgres = options.postgres
    this.#durable = options.durable ?? true
    this.#slotWalLimitMb = options.slotWalLimitMb
    this.#user = unprivilegedUser()
    this.#title = `homeport-${options.name}-${shortHash(options.folder)}`
  }

  /** The port of the last start. @throws HomeportError CLUSTER_NOT_STARTED when there was none. */
  get port(): number {
    const port = this.#rememberedPort()
    if (port !== undefined) return port
    throw new HomeportError(
      'CLUSTER_NOT_STARTED',
      `the ${this.name} cluster in ${this.folder} was never started`,
    )
  }

  get logFile(): string {
    return join(this.folder, 'postgres.log')
  }

  /** The URL of a database (`postgres` exists from the start), with the superuser's password. */
  superuserUrl(database = 'postgres'): string {
    return `postgres://${superuser}:${this.#password()}@${this.host}:${this.port}/${encodeURIComponent(database)}`
  }

  status(): ClusterStatus {
    if (!existsSync(join(this.#data, 'PG_VERSION'))) return 'absent'
    return this.#postmasterPid() === undefined ? 'stopped' : 'running'
  }

  /** The id of the running server's first process, or undefined. */
  get pid(): number | undefined {
    return this.#postmasterPid()
  }

  /**
   * Creates the cluster when it is absent, starts it when it does not run, and returns when it accepts
   * connections. What a kill or a power cut left behind is cleared away first; a port that was taken
   * meanwhile is replaced. `started` is false when it ran already, `created` true when it is new.
   *
   * @throws HomeportError CLUSTER_VERSION, exit 2, when another major version made the data;
   *   CLUSTER_START with the end of the server's log.
   */
  async start(): Promise<{ started: boolean; created: boolean }> {
    this.#ownFolder(this.folder)
    if (this.status() === 'running') {
      this.#checkVersion()
      await this.#waitUntilReady()
      return { started: false, created: false }
    }
    await this.#clearLeftovers()
    const created = this.status() === 'absent'
    if (created) await this.#create()
    this.#checkVersion()
    this.#setLogAside()
    for (let attempt = 1; ; attempt++) {
      const failure = await this.#tryStart()
      if (failure === undefined) return { started: true, created }
      // Someone was faster between our look at the port and the server's.
      if (attempt < 3 && /Address already in use|could not bind/i.test(failure)) {
        rmSync(this.#portFile)
        continue
      }
      throw new HomeportError('CLUSTER_START', `the ${this.name} cluster does not start:\n${failure}`, {
        hint: `see ${this.logFile}`,
      })
    }
  }

  /** Stops the server when it runs: connections are ended, what was committed is on disk. */
  async stop(): Promise<void> {
    const pid = this.#postmasterPid()
    if (pid === undefined) return
    const identity = processIdentity(pid)
    const stopped = await this.#control('stop', ['-m', 'fast', '-t', '30'])
    if (stopped.code === 0) return
    // A walsender waits for a subscriber that does not answer; the next start replays the log.
    const forced = await this.#control('stop', ['-m', 'immediate', '-t', '10'])
    if (forced.code !== 0 && identity !== undefined) await endProcess(pid, identity, 0)
  }

  /** Ends the server without waiting and without a checkpoint; what was committed is replayed by the next start. */
  abandon(): void {
    const pid = this.#postmasterPid()
    if (pid !== undefined) signalProcess(pid, 'SIGQUIT')
  }

  /** Stops the server and removes its folder with all data. */
  async destroy(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  get #data(): string {
    return join(this.folder, 'data')
  }

  get #portFile(): string {
    return join(this.folder, 'port')
  }

  get #passwordFile(): string {
    return join(this.folder, 'superuser-password')
  }

  #password(): string {
    return readFileSync(this.#passwordFile, 'utf8').trim()
  }

  #rememberedPort(): number | undefined {
    if (!existsSync(this.#portFile)) return undefined
    return Number(readFileSync(this.#portFile, 'utf8'))
  }

  /** The running server's first process, or undefined; a stale file, or one copied from elsewhere, does not count. */
  #postmasterPid(): number | undefined {
    const file = join(this.#data, 'postmaster.pid')
    if (!existsSync(file)) return undefined
    const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
    return this.#isPostmaster(commandLineOf(pid)) ? pid : undefined
  }

  #isPostmaster(commandLine: string): boolean {
    return commandLine.endsWith(` -D ${this.#data}`) && commandLine.includes('postgres')
  }

  async #create(): Promise<void> {
    this.#write(this.#passwordFile, `${randomBytes(24).toString('hex')}\n`)
    await createDataDirectory({
      clusterName: this.name,
      directory: this.#data,
      superuser,
      passwordFile: this.#passwordFile,
      durable: this.#durable,
      run: (args) => this.#run('initdb', args),
    })
  }

  #checkVersion(): void {
    const made = Number(readFileSync(join(this.#data, 'PG_VERSION'), 'utf8'))
    if (made === this.#postgres.majorVersion) return
    throw new HomeportError(
      'CLUSTER_VERSION',
      `${this.folder} was made by Postgres ${made}; ${this.#postgres.binDir} is version ${this.#postgres.majorVersion}`,
      { hint: `set HOMEPORT_PG_BIN to Postgres ${made}, or remove the folder to begin anew`, exitCode: 2 },
    )
  }

  async #tryStart(): Promise<string | undefined> {
    const port = await choosePort(this.#rememberedPort())
    this.#write(this.#portFile, `${port}\n`)
    this.#write(
      join(this.#data, 'homeport.conf'),
      renderSettings({
        port,
        socketFolder: socketFolder(this.folder, this.#title, this.#user),
        title: this.#title,
        durable: this.#durable,
        ...(this.#slotWalLimitMb === undefined ? {} : { slotWalLimitMb: this.#slotWalLimitMb }),
      }),
    )
    const before = this.#logText().length
    const started = await this.#control('start', ['-l', this.logFile, '-t', String(startTimeoutSeconds)])
    if (started.code === 0) return undefined
    return `${started.output}${this.#logText().slice(before).split('\n').slice(-15).join('\n')}`.trim()
  }

  async #waitUntilReady(): Promise<void> {
    const end = Date.now() + startTimeoutSeconds * 1000
    // pg_ctl status says "running" while the server still recovers; its eighth line says when it is done.
    for (;;) {
      const lines = readFileSync(join(this.#data, 'postmaster.pid'), 'utf8').split('\n')
      if (lines[7]?.trim() === 'ready') return
      if (Date.now() > end) {
        throw new HomeportError('CLUSTER_START', `the ${this.name} cluster runs but does not become ready`, {
          hint: `see ${this.logFile}`,
        })
      }
      await sleep(50)
    }
  }

  /**
   * After kill -9: a pid file whose process is gone or is another one by now, and backends that outlived
   * their server, or an initdb that would remove what it made when it fails. After the folder was deleted
   * under it: the server itself.
   */
  async #clearLeftovers(): Promise<void> {
    const isOurs = (line: string) =>
      line.startsWith(`postgres: ${this.#title}`) ||
      line.includes(`/initdb -D ${draftOf(this.#data)} `) ||
      this.#isPostmaster(line)
    const orphans = findProcesses(isOurs)
    const known = orphans.map((pid) => ({ pid, identity: processIdentity(pid) }))
    for (const { pid } of known) signalProcess(pid, 'SIGQUIT')
    for (const { pid, identity } of known) {
      if (identity !== undefined) await endProcess(pid, identity, 2_000)
    }
    // Where nobody collects the dead (a container without an init), a killed server still counts as alive
    // for the next one, so its lock files go.
    rmSync(join(this.#data, 'postmaster.pid'), { force: true })
    rmSync(socketFolder(this.folder, this.#title, this.#user), { recursive: true, force: true })
  }

  #setLogAside(): void {
    if (this.#logText().length > 1_000_000) renameSync(this.logFile, `${this.logFile}.old`)
  }

  #logText(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : ''
  }

  #control(verb: 'start' | 'stop', more: readonly string[]): Promise<{ code: number; output: string }> {
    return this.#run('pg_ctl', [verb, '-D', this.#data, ...more, '-w', '-s'])
  }

  #run(tool: string, args: readonly string[]): Promise<{ code: number; output: string }> {
    return postgresTool({ binDir: this.#postgres.binDir, tool, args, user: this.#user })
  }

  #write(file: string, text: string): void {
    writeFileSync(file, text, { mode: 0o600 })
    if (this.#user !== undefined) chownSync(file, this.#user.uid, this.#user.gid)
  }

  #ownFolder(folder: string): void {
    mkdirSync(dirname(folder), { recursive: true })
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (this.#user !== undefined) chownSync(folder, this.#user.uid, this.#user.gid)
  }
}
