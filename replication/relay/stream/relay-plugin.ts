import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Client } from 'pg'
import { AbstractPlugin } from 'pg-logical-replication/dist/output-plugins/abstract.plugin.js'

/** The part of pg's connection that carries a replication stream; not in its types. */
export interface Wire extends EventEmitter {
  /** the socket, or TLS over it */
  stream: Duplex
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

export interface RelayPluginOptions {
  /** Everything that happens on the session, from connected to ended. */
  run: (client: Client, wire: Wire) => Promise<void>
}

/**
 * Our end of pg-logical-replication 2.5.0, of which we use the connection and nothing else: its acknowledgements
 * go one byte too far, its timer confirms what was only received, its queue goes on after an error, and its parser
 * loses what types it does not know. So its listener is taken off and messages come to us as they are.
 */
export class RelayPlugin extends AbstractPlugin<RelayPluginOptions> {
  get name(): string {
    return 'homeport'
  }

  async start(client: Client): Promise<void> {
    const { connection } = client as unknown as { connection: Wire }
    connection.removeAllListeners('copyData')
    await this.options.run(client, connection)
  }

  /** Never called without the listener. */
  parse(buffer: Buffer): Buffer {
    return buffer
  }
}
