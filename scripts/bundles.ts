/**
 * What the entry points come to in a bundle, whole and as programs use them: writes docs/bundles.md, or with `--check`
 * fails where it is not what is built.
 *
 * Usage: tsx scripts/bundles.ts [--check]    (after a build)
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { entries, manifest } from './entries.ts'

/** What a program imports from the entries, by their names. */
interface Program {
  readonly name: string
  readonly imports: Readonly<Record<string, string>>
  /** It may never be larger, in kB with brotli. */
  readonly most?: number
}

const BOTH = 'createDatabase, stateStore, persistenceStore'
const PROGRAMS: readonly Program[] = [
  { name: 'a database in memory', imports: { '.': 'createDatabase, memory' } },
  { name: 'the state store in memory', imports: { '.': 'createDatabase, memory, stateStore' } },
  { name: 'state and logs in memory', imports: { '.': `${BOTH}, memory` } },
  { name: 'all stores in memory, and the runner', imports: { '.': 'createHoldfast, memory', './run': 'run, work' } },
  { name: 'state and logs over IndexedDB, with idb', imports: { '.': BOTH, './indexeddb': 'indexedDb' } },
  {
    name: 'state and logs in a Durable Object',
    imports: { '.': BOTH, './durable-object': 'durableObject' },
    most: 25,
  },
  { name: 'state and logs over D1', imports: { '.': BOTH, './d1': 'd1' } },
  { name: 'state and logs over libSQL', imports: { '.': BOTH, './libsql': 'libsql' } },
  { name: 'state and logs over Postgres', imports: { '.': BOTH, './postgres': 'postgres' } },
  { name: 'state and logs over Upstash', imports: { '.': BOTH, './upstash': 'upstash' } },
  { name: 'the state store over HTTP', imports: { '.': 'createDatabase, stateStore', './http': 'remote' } },
  { name: 'the HTTP handler', imports: { './http': 'createHandler' } },
  { name: 'a caller over HTTP, alone', imports: { './http': 'remote' } },
  { name: 'either side of a port', imports: { './channel': 'connect, serve' } },
]

const DOCUMENT = new URL('../docs/bundles.md', import.meta.url)
/** Of the clients, what a driver needs in every bundle. */
const INSIDE = new Set(['idb'])
/** Modules of the runtime, clients of backends, and what only the command line and its servers use. */
const OUTSIDE = ['node:*', 'bun:*'].concat(Object.keys(manifest.peerDependencies)).filter((name) => !INSIDE.has(name))
/** A compressor of another version may come to a little more or less, in kB. */
const TOLERANCE = 0.11

const distOf = new Map(entries.map(({ name, dist }) => [name, dist]))
const codeOf = ({ imports }: Program): string =>
  Object.entries(imports)
    .map(([entry, names]) => `export { ${names} } from './${distOf.get(entry)}'`)
    .join('\n')

/** Minified, with gzip and with brotli, in kB of 1000 bytes. */
async function sizesOf(contents: string): Promise<readonly number[]> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    external: [...OUTSIDE],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    write: false,
  })
  const code = outputFiles[0]!.contents
  return [code, gzipSync(code, { level: 9 }), brotliCompressSync(code)].map(({ length }) => length / 1000)
}

const row = (name: string, sizes: readonly number[]): string =>
  `| ${name} | ${sizes.map((size) => size.toFixed(1)).join(' | ')} |`

const wholes = await Promise.all(
  entries.map(async ({ name, dist }) =>
    row(`\`${name.replace('.', manifest.name)}\``, await sizesOf(`export * from './${dist}'`)),
  ),
)
const programs = await Promise.all(
  PROGRAMS.map(async (program) => {
    const sizes = await sizesOf(codeOf(program))
    if (sizes[2]! > (program.most ?? Infinity)) {
      console.error(`${program.name}: ${sizes[2]} kB, more than ${program.most}`)
      process.exitCode = 1
    }
    return row(program.name, sizes)
  }),
)
const HEAD = ['| | minified | gzip | brotli |', '|---|--:|--:|--:|']
const page = [
  '# Bundles',
  '',
  'In kB of 1000 bytes, with idb and without the other clients of backends. Made by `npm run bundles`; the gate `size` fails if',
  'this page does not match the build.',
  '',
  '## What programs use',
  '',
  ...HEAD,
  ...programs,
  '',
  '## Whole entry points',
  '',
  ...HEAD,
  ...wholes,
  '',
].join('\n')

const NUMBER = /\d+\.\d/g
const numbersIn = (text: string): number[] => (text.match(NUMBER) ?? []).map(Number)

function agrees(written: string): boolean {
  const [before, now] = [numbersIn(written), numbersIn(page)]
  return (
    written.replaceAll(NUMBER, '') === page.replaceAll(NUMBER, '') &&
    before.every((size, i) => Math.abs(size - now[i]!) <= TOLERANCE)
  )
}

if (!process.argv.includes('--check')) writeFileSync(DOCUMENT, page)
else if (!agrees(readFileSync(DOCUMENT, 'utf8'))) {
  console.error('docs/bundles.md is not what is built: npm run build && npm run bundles')
  process.exitCode = 1
}
