import { cpSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import ts from 'typescript'
import { failpointModule, stripFailpoints } from './strip-failpoints.ts'

// npm run build [-- FOLDER] [--unchecked]: compiles to dist/, or another folder, which is emptied first, and puts
// beside it what the program reads at run time. Unchecked: for who has looked at the types already.
const root = fileURLToPath(new URL('..', import.meta.url))
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { unchecked: { type: 'boolean', default: false } },
})
const folder = resolve(root, positionals[0] ?? 'dist')
rmSync(folder, { recursive: true, force: true })

const host: ts.ParseConfigFileHost = {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (diagnostic) => stop([diagnostic]),
}
const config = ts.getParsedCommandLineOfConfigFile(
  join(root, 'tsconfig.build.json'),
  { outDir: folder },
  host,
)
if (config === undefined) stop([])
const program = ts.createProgram(config.fileNames, config.options)
const errors = [...config.errors, ...(values.unchecked ? [] : ts.getPreEmitDiagnostics(program))]
if (errors.length > 0) stop(errors)
const failpoints = join(folder, failpointModule.replace(/\.ts$/, '.js'))
const { diagnostics } = program.emit(
  undefined,
  (name, text) => {
    if (relative(failpoints, name) !== '') ts.sys.writeFile(name, text)
  },
  undefined,
  false,
  { before: [stripFailpoints] },
)
if (diagnostics.length > 0) stop(diagnostics)

for (const name of ['sql', 'api/web', 'replication/monitor/web', 'sample'])
  cpSync(join(root, name), join(folder, name), { recursive: true })

function stop(diagnostics: readonly ts.Diagnostic[]): never {
  const format = {
    getCanonicalFileName: (name: string) => name,
    getCurrentDirectory: () => root,
    getNewLine: () => '\n',
  }
  process.stderr.write(ts.formatDiagnosticsWithColorAndContext(diagnostics, format))
  process.exit(1)
}
