import t from 'tap'
import { connect } from '../../core/db.ts'
import { scramMatches, scramVerifier } from '../../core/scram.ts'
import { testClusters } from '../support/clusters.ts'
import { queryRows, uniqueName } from '../support/databases.ts'

t.test('the verifier of RFC 7677’s example', async (t) => {
  // Salt, iterations and password are the RFC's; the keys follow from its server signature's key.
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  t.equal(
    scramVerifier('pencil', { salt, iterations: 4096 }),
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  )
})

t.test('what matches', async (t) => {
  const verifier = scramVerifier('secret')
  t.not(scramVerifier('secret'), verifier, 'a salt of its own each time')
  t.equal(scramMatches(verifier, 'secret'), true)
  t.equal(scramMatches(verifier, 'Secret'), false)
  t.equal(scramMatches('md5a1b2c3', 'secret'), false)
  t.equal(scramMatches('', 'secret'), false)
})

t.test('Postgres lets a role in by it, and by nothing else', async (t) => {
  const { cloud } = await testClusters()
  const url = cloud.superuserUrl('postgres')
  for (const password of ['plain', `it's "q" \\ %/?#`, 'pässwörd 東京', 'x'.repeat(200)]) {
    const role = uniqueName('scram')
    await queryRows(url, `create role ${role} with login password '${scramVerifier(password)}'`)
    t.teardown(() => queryRows(url, `drop role if exists ${role}`))
    const login = (word: string) => {
      const changed = new URL(url)
      changed.username = role
      changed.password = encodeURIComponent(word)
      return connect({ connectionString: changed.href, applicationName: 'homeport test' })
    }
    const client = await login(password)
    await client.end()
    await t.rejects(login(`${password}x`), { code: 'DATABASE_UNREACHABLE', message: /password is wrong/ })
  }
})
