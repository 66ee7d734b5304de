import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

// npm run build [-- FOLDER]: compiles to dist/, or another folder, which is emptied first, and puts
// beside it what the program reads at run time.
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = resolve(root, process.argv[2] ?? 'dist')
rmSync(folder, { recursive: true, force: true })
const compiled = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', folder],
  { cwd: root, stdio: 'inherit' },
)
if (compiled.status !== 0) process.exit(compiled.status ?? 1)
for (const name of ['sql', 'api/web', 'sample'])
  cpSync(join(root, name), join(folder, name), { recursive: true })
