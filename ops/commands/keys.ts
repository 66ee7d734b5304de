import { defineCommand, type Output } from '../../core/cli.ts'
import { databaseUrl, setting } from '../../core/config.ts'
import { connect, type Queryable } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import { readKeys } from '../../replication/gateway/key-store.ts'
import { parsePermissions, permissions } from '../../replication/gateway/keys.ts'
import { createKey, revokeKey } from '../../replication/gateway/manage-keys.ts'
import { formatTable } from './format-table.ts'

interface Options {
  client?: string
  permissions: string
}

export const keysCommand = defineCommand<Options>({
  name: 'keys',
  summary: 'Make, list and revoke the keys that relays show the gateway',
  details:
    'A key is printed once, when it is made; the cloud keeps only its hash. A revoked one stops working within\n' +
    'half a minute, and so does every token made with it. Uses PRODUCTION_DATABASE_URL, else GATEWAY_DATABASE_URL.\n' +
    'With --json: create {"id", "client", "permissions", "key"}; list {"keys": [{id, client, permissions, createdAt,\n' +
    'revokedAt}]}; revoke {"id", "client", "revokedAt"}',
  examples: [
    ['keys create --client home', 'a key for PRODUCTION_API_KEY of the relay'],
    ['keys create --client dashboard --permissions relay:read', 'one that only looks'],
    ['keys list', 'who has a key'],
    ['keys revoke 3f9a12c07be4', 'take it back'],
  ],
  configure: (command) =>
    command
      .argument('<action>', 'create, list or revoke')
      .argument('[id]', 'of the key to revoke: the part between the two underscores')
      .option('--client <name>', 'who it is for, as shown by list')
      .option('--permissions <list>', `what it is good for: ${permissions.join(',')}`, permissions.join(',')),
  async run({ args, options, out }) {
    const [action = '', id] = args
    const run = Object.hasOwn(actions, action) ? actions[action] : undefined
    if (run === undefined) throw usage(`${action} is not create, list or revoke`)
    const client = await connect({ connectionString: keysUrl(), applicationName: 'homeport ops' })
    try {
      await run({ db: client, id, options, out })
    } finally {
      await client.end()
    }
    return 0
  },
})

interface Action {
  db: Queryable
  id: string | undefined
  options: Options
  out: Output
}

const actions: Readonly<Record<string, (action: Action) => Promise<void>>> = {
  async create({ db, options, out }) {
    const client = options.client?.trim() ?? ''
    if (!/^[\p{L}\p{N}._@ -]{1,100}$/u.test(client)) throw usage('--client needs a name')
    const created = await createKey(db, { client, permissions: parsePermissions(options.permissions) })
    out.result(created, created.key)
    out.note(`Key ${created.id} of ${client}. It is not shown again: put it into PRODUCTION_API_KEY at home.`)
  },
  async list({ db, out }) {
    const keys = (await readKeys(db)).map(({ id, client, permissions, createdAt, revokedAt }) => ({
      id,
      client,
      permissions,
      createdAt,
      revokedAt,
    }))
    const rows = keys.map((key) => [
      key.id,
      key.client,
      key.permissions.join(','),
      key.createdAt.toISOString(),
      key.revokedAt === null ? 'works' : `revoked ${key.revokedAt.toISOString()}`,
    ])
    const text = formatTable(['id', 'client', 'permissions', 'made', 'state'], rows)
    out.result({ keys }, keys.length === 0 ? 'There are no keys: ops keys create --client home' : text)
  },
  async revoke({ db, id, out }) {
    if (id === undefined) throw usage('revoke needs the id of a key')
    const revoked = await revokeKey(db, id)
    out.result({ id, ...revoked }, `Key ${id} of ${revoked.client} stops working within half a minute.`)
  },
}

function keysUrl(): string {
  return databaseUrl(
    setting('PRODUCTION_DATABASE_URL') === undefined && setting('GATEWAY_DATABASE_URL') !== undefined
      ? 'GATEWAY_DATABASE_URL'
      : 'PRODUCTION_DATABASE_URL',
  )
}

function usage(complaint: string): HomeportError {
  return new HomeportError('USAGE', complaint, { hint: 'ops keys --help', exitCode: 2 })
}
