import { defineConfig } from 'tsdown'
import { entries, programs } from './scripts/entries.ts'

/** One output file per source file, so that a bundle holds what it imports and a stack trace can be read. */
export default defineConfig({
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
  logLevel: 'warn',
})
