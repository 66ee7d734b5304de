import ts from 'typescript'

/** The module whose calls a production build leaves out, relative to the repository. */
export const failpointModule = 'core/failpoint.ts'

/**
 * Takes `await failpoint('…')` statements and the import of `core/failpoint.ts` out of a source file while it is
 * compiled: a production process has no place where it could be told to fail.
 *
 * @throws Error when a file uses failpoints in any other way, which could not be taken out.
 */
export function stripFailpoints(context: ts.TransformationContext): ts.Transformer<ts.SourceFile> {
  return (file) => {
    if (file.fileName.endsWith(failpointModule)) return file
    const visit = (node: ts.Node): ts.Node | undefined => {
      if (isFailpointImport(node)) return undefined
      if (isFailpointStatement(node)) return ts.isBlock(node.parent) ? undefined : empty(context)
      if (ts.isIdentifier(node) && /^(failpoint|armFailpoints)$/.test(node.text)) throw misused(file, node)
      return ts.visitEachChild(node, visit, context)
    }
    return ts.visitEachChild(file, visit, context)
  }
}

function isFailpointImport(node: ts.Node): boolean {
  return (
    ts.isImportDeclaration(node) &&
    ts.isStringLiteral(node.moduleSpecifier) &&
    node.moduleSpecifier.text.endsWith('/failpoint.ts')
  )
}

function isFailpointStatement(node: ts.Node): boolean {
  if (!ts.isExpressionStatement(node) || !ts.isAwaitExpression(node.expression)) return false
  const call = node.expression.expression
  return ts.isCallExpression(call) && ts.isIdentifier(call.expression) && call.expression.text === 'failpoint'
}

/** For the body of an `if` without braces. */
function empty(context: ts.TransformationContext): ts.Node {
  return context.factory.createEmptyStatement()
}

function misused(file: ts.SourceFile, node: ts.Node): Error {
  const { line } = file.getLineAndCharacterOfPosition(node.getStart(file))
  return new Error(
    `${file.fileName}:${line + 1}: failpoints are only ever written as: await failpoint('name')`,
  )
}
