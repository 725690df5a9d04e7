/**
 * What each entry point, and each combination that `.size-limit.json` holds a ceiling for, comes to in a bundle: writes
 * docs/bundles.md, or with `--check` fails where it is not what is built.
 *
 * Usage: tsx scripts/bundles.ts [--check]    (after a build)
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { entries, manifest } from './entries.ts'

interface Ceiling {
  readonly name: string
  readonly path: string | readonly string[]
  readonly import?: string | Readonly<Record<string, string>>
  readonly ignore?: readonly string[]
}

const DOCUMENT = new URL('../docs/bundles.md', import.meta.url)
/** Of the clients, what a driver needs in every bundle. */
const INSIDE = new Set(['drizzle-orm', 'idb'])
/** Modules of the runtime, clients of backends, and what only the command line and its servers use. */
const OUTSIDE = ['node:*', 'bun:*']
  .concat(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }))
  .filter((name) => !INSIDE.has(name))

const ceilings = JSON.parse(readFileSync(new URL('../.size-limit.json', import.meta.url), 'utf8')) as Ceiling[]

const whole = (path: string): string => `export * from './${path}'`

function codeOf({ path, import: names }: Ceiling): string {
  const paths = [path].flat()
  if (names === undefined) return paths.map(whole).join('\n')
  return paths.map((it) => `export ${typeof names === 'string' ? names : names[it]} from './${it}'`).join('\n')
}

/** A row of the table; sizes in kB of 1000 bytes. */
async function row(name: string, contents: string, external: readonly string[] = []): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    external: [...OUTSIDE, ...external],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    write: false,
  })
  const code = outputFiles[0]!.contents
  const sizes = [code, gzipSync(code, { level: 9 }), brotliCompressSync(code)]
  return `| ${name} | ${sizes.map(({ length }) => (length / 1000).toFixed(1)).join(' | ')} |`
}

const HEAD = ['| | minified | gzip | brotli |', '|---|--:|--:|--:|']
const page = [
  '# Bundles',
  '',
  'In kB of 1000 bytes, without the clients of backends, except idb and drizzle-orm. Made by `npm run bundles`, and checked by the',
  'gate `size`, which also holds the ceilings of `.size-limit.json`.',
  '',
  '## Entry points, all of each',
  '',
  ...HEAD,
  ...(await Promise.all(entries.map(({ name, dist }) => row(`\`${name.replace('.', manifest.name)}\``, whole(dist))))),
  '',
  '## What programs use of them',
  '',
  ...HEAD,
  ...(await Promise.all(ceilings.map((it) => row(it.name, codeOf(it), it.ignore)))),
  '',
].join('\n')

if (!process.argv.includes('--check')) writeFileSync(DOCUMENT, page)
else if (readFileSync(DOCUMENT, 'utf8') !== page) {
  console.error('docs/bundles.md is not what is built: npm run build && npm run bundles')
  process.exitCode = 1
}
