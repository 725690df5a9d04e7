import { defineConfig } from 'tsdown'
import { entries, programs } from './scripts/entries.ts'
import { LIBRARIES, librariesApart, withLicences } from './scripts/libraries.ts'

export default defineConfig([
  /**
   * One output file per source file, so that a bundle holds what it imports and a stack trace can be read. Comments are in
   * the declarations, where editors look for them.
   */
  {
    entry: [...entries.map((entry) => entry.source), ...programs],
    root: 'src',
    tsconfig: 'tsconfig.node.json',
    unbundle: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    fixedExtension: false,
    dts: { oxc: true },
    deps: { skipNodeModulesBundle: true, neverBundle: [/^(node|bun|cloudflare):/] },
    outputOptions: { comments: { legal: false, annotation: true, jsdoc: false } },
    // A constant of another file that is written in place leaves an import for nothing, at which bundlers warn.
    inputOptions: { optimization: { inlineConst: false } },
    plugins: [librariesApart()],
    // Which plugin takes long is no news.
    checks: { pluginTimings: false },
    logLevel: 'warn',
  },
  /** The libraries of the command line, in one file with their licences beside it. */
  {
    entry: { 'cli/libraries': LIBRARIES },
    tsconfig: 'tsconfig.node.json',
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    fixedExtension: false,
    clean: false,
    dts: false,
    minify: true,
    deps: { alwaysBundle: [/.*/], onlyBundle: false },
    plugins: [withLicences('cli/libraries.LICENSES.txt')],
    // Which plugin takes long is no news.
    checks: { pluginTimings: false },
    logLevel: 'warn',
  },
])
