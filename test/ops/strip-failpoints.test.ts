import t from 'tap'
import ts from 'typescript'
import { stripFailpoints } from '../../ops/strip-failpoints.ts'

function compile(text: string, fileName = 'replication/relay/some.ts'): string {
  return ts.transpileModule(text, {
    fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
    transformers: { before: [stripFailpoints] },
  }).outputText
}

t.test('calls and import go, the rest stays', async (t) => {
  const built = compile(`
    import { failpoint } from '../../core/failpoint.ts'
    import { other } from './other.ts'
    export async function commit(): Promise<void> {
      await failpoint('relay.before-commit')
      await other('relay.kept')
      if (other.length > 1) await failpoint('relay.rare')
      for (const one of [1]) { await failpoint(\`relay.\${one}\`) }
    }`)
  t.notMatch(built, /failpoint|before-commit|rare/)
  t.match(built, /import \{ other \}[\s\S]*await other\('relay.kept'\);[\s\S]*for \(const one of \[1\]\)/)
})

t.test('a use that cannot be taken out stops the build', async (t) => {
  const wrong = [
    `import { failpoint } from './failpoint.ts'\nvoid failpoint('x')`,
    `import { failpoint } from './failpoint.ts'\nexport const later = failpoint`,
    `import { armFailpoints } from './failpoint.ts'\narmFailpoints(undefined)`,
  ]
  for (const text of wrong) t.throws(() => compile(text), /some\.ts:2: failpoints are only ever written as/)
})
