import { readFileSync } from 'node:fs'
import t from 'tap'
import { settings } from '../core/config.ts'

const read = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
const readme = read('README.md')
const manifest = JSON.parse(read('package.json')) as Record<
  'dependencies' | 'devDependencies' | 'optionalDependencies' | 'scripts',
  Record<string, string>
>

t.test('the README has every setting with its meaning, and no other', async (t) => {
  const rows = [...readme.matchAll(/^\| `([A-Z_]+)` \| (.*) \|$/gm)].map((row) => [row[1], row[2]])
  t.same(Object.fromEntries(rows), settings)
})

t.test('.env.example names every setting', async (t) => {
  const example = read('.env.example')
  for (const name of Object.keys(settings)) t.match(example, new RegExp(`^(# )?${name}=`, 'm'), name)
})

t.test('every dependency is in the README, and is pinned', async (t) => {
  const kinds = [manifest.dependencies, manifest.optionalDependencies, manifest.devDependencies]
  for (const [name, version] of kinds.flatMap((kind) => Object.entries(kind))) {
    t.match(version, /^\d+\.\d+\.\d+$/, `${name} is exact`)
    const covered = name.startsWith('@types/') || name === '@eslint/js' || name === 'node-addon-api'
    if (!covered) t.match(readme, new RegExp(`^\\|.*[ ,]${name}[ ,]`, 'm'), name)
  }
})

t.test('every npm run in the README exists', async (t) => {
  const named = new Set([...readme.matchAll(/npm run (?:-s )?([a-z]+)/g)].map((match) => match[1] ?? ''))
  for (const script of named) t.ok(script in manifest.scripts, script)
})
