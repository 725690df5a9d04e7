import type { KnipConfig } from 'knip'
import { entries, programs } from './scripts/entries.ts'

const config: KnipConfig = {
  // Run by scripts/check.ts, where knip does not look for commands; and what workerd itself brings.
  ignoreDependencies: ['@arethetypeswrong/cli', 'oxlint', 'oxlint-tsgolint', 'typedoc', 'cloudflare'],
  entry: [
    ...entries.map((entry) => entry.source),
    ...programs,
    'scripts/{bundles,check,closure,deno,installed,matrix,parts,reporter,test,test-store}.ts',
    // Child processes of tests are started by path.
    'test/crash/*.ts',
    'test/drivers/{libsql,sqlite}/child.ts',
    'test/served/http/stopped-caller.ts',
    'test/ops/copy-child.ts',
    // Bundled by path, for browsers.
    'test/browsers/programs/*.ts',
    'bench/browser/program.ts',
    'bench/edge/worker.ts',
    'test/served/channel/worker.ts',
    // Handed to the runner of a vendor's tests by path.
    'test/vendors/neon-{fetch,setup}.ts',
    'test/runtimes/{node,deno,bun}.ts',
    'test/runtimes/workers/*.ts',
    'test/runtimes/workerd/{worker,other,requests}.ts',
    'examples/*/*.ts',
    'examples/edge/{local/*,src/{worker,deno}}.ts',
    'bench/markdown.ts',
    'types/*.ts',
  ],
  // Parts, see scripts/parts.ts.
  ignoreBinaries: ['sha256sum', 'mount', 'umount', 'pg_config'],
  ignoreExportsUsedInFile: { interface: true, type: true },
  project: ['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'examples/**/*.ts', 'scripts/**/*.ts', 'types/**/*.ts'],
}

export default config
