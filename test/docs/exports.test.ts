/** The names that the package exports. */
import { resolve } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'

const entry = resolve('src/index.ts')
const program = ts.createProgram([entry], {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.NodeNext,
  lib: ['lib.esnext.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts', 'lib.webworker.importscripts.d.ts'],
  allowImportingTsExtensions: true,
  noEmit: true,
  types: ['node'],
})
const checker = program.getTypeChecker()
const main = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!

const isGlobal = (name: string): boolean =>
  checker.resolveName(name, undefined, ts.SymbolFlags.Type | ts.SymbolFlags.Value, false) !== undefined

test('none of the main entry hides a global of browsers or of Node', () => {
  const names = checker.getExportsOfModule(main).map(({ name }) => name)
  expect(names).toContain('createHoldfast')
  // The check sees globals of all kinds.
  for (const known of ['Range', 'Worker', 'ErrorOptions', 'Lock', 'Buffer']) expect(isGlobal(known)).toBe(true)
  expect(names.filter((name) => isGlobal(name))).toEqual([])
})
