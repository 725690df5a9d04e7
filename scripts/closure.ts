/**
 * Walks the import closure of every published entry inside the packed tarball, in the code and in the declarations:
 * an entry may not drag in another driver, a `node:` module or a package that is not named for it in ENTRIES.
 * The import law checks the sources; this checks what users get.
 *
 * Usage: tsx scripts/closure.ts <tarball>
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'
import { entries, manifest } from './entries.ts'

/** What an entry's closure may hold beyond core, stores, wrappers and its own driver folder. Not listed: nothing. */
const ENTRIES: Record<string, { packages?: string[]; builtins?: string[]; drivers?: string[]; isProgram?: boolean }> = {
  '.': { drivers: ['./memory'] },
  './better-sqlite3': { packages: ['better-sqlite3'] },
  './node-sqlite': { builtins: ['node:sqlite'] },
  './bun-sqlite': { builtins: ['bun:sqlite'] },
  './sqlite-schema': { packages: ['drizzle-orm'] },
  './indexeddb': { packages: ['idb'] },
  // Loaded where a drizzle database without a client was handed in.
  './postgres': { packages: ['drizzle-orm'] },
  './postgres-schema': { packages: ['drizzle-orm'] },
  './testing': { drivers: ['./memory'] },
  // Runs in Node beside what is developed, never in a bundle. The client of Redis is loaded by the server that needs it.
  './dev': { isProgram: true, packages: ['redis'] },
}

const tarball = process.argv[2]
if (!tarball) throw new Error('Usage: tsx scripts/closure.ts <tarball>')
const root = 'build/closure'
rmSync(root, { recursive: true, force: true })
mkdirSync(root, { recursive: true })
execFileSync('tar', ['-xzf', tarball, '-C', root, '--strip-components=1'])

const problems: string[] = []

for (const name of Object.keys(ENTRIES)) {
  if (!entries.some((entry) => entry.name === name)) problems.push(`${name}: named in ENTRIES, not in exports`)
}

for (const entry of entries) {
  const code = walk(entry.dist, '.js')
  const types = walk(entry.dist.replace(/\.js$/, '.d.ts'), '.d.ts')
  const allowed = ENTRIES[entry.name] ?? {}
  for (const specifier of new Set([...code.outside, ...types.outside])) {
    const name = packageOf(specifier)
    if (allowed.isProgram && specifier.startsWith('node:')) continue
    if (/^(node|bun):/.test(specifier)) {
      if (!allowed.builtins?.includes(specifier)) problems.push(`${entry.name}: holds ${specifier}`)
    } else if (!allowed.packages?.includes(name)) {
      problems.push(`${entry.name}: holds the package ${name}, which is not declared for it`)
    } else if (!(name in manifest.peerDependencies)) {
      problems.push(`${entry.name}: holds the package ${name}, which is no peer dependency`)
    }
  }
  for (const file of new Set([...code.files, ...types.files])) {
    const other = otherDriver(entry.dist, file)
    if (other && !allowed.drivers?.includes(other)) problems.push(`${entry.name}: holds another driver, ${file}`)
    if (file === 'dist/index.js' && entry.name !== '.') problems.push(`${entry.name}: holds the main entry`)
  }
  const bytes = [...code.files].reduce((sum, file) => sum + readFileSync(join(root, file)).length, 0)
  const outside = [...code.outside].toSorted().join(' ')
  console.log(
    `${entry.name.padEnd(18)} ${String(code.files.size).padStart(3)} files ${String(bytes).padStart(7)} B  ${outside}`,
  )
}

for (const problem of problems) console.error(problem)
process.exitCode = problems.length ? 1 : 0

/** The files of the package reached from one, and every specifier that leaves the package. */
function walk(start: string, extension: '.js' | '.d.ts') {
  const files = new Set<string>()
  const outside = new Set<string>()
  const queue = [start]
  for (let file = queue.pop(); file; file = queue.pop()) {
    if (files.has(file)) continue
    if (!existsSync(join(root, file))) {
      problems.push(`${file}: not in the tarball`)
      continue
    }
    files.add(file)
    for (const specifier of importsOf(join(root, file))) {
      if (!specifier.startsWith('.')) outside.add(specifier)
      else queue.push(normalize(join(dirname(file), specifier)).replace(/\.js$/, extension))
    }
  }
  return { files, outside }
}

/** Static and dynamic imports, re-exports, type imports; and the ways to reach a builtin without importing it. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  const info = ts.preProcessFile(text, true, true)
  const hidden = /(?:getBuiltinModule|require)\(\s*['"`](?:node:)?([\w/]+)['"`]/g
  return [
    ...info.importedFiles.map((reference) => reference.fileName),
    ...info.typeReferenceDirectives.map((reference) =>
      reference.fileName === 'node' ? 'node:types' : reference.fileName,
    ),
    ...[...text.matchAll(hidden)].map((match) => `node:${match[1]}`),
  ]
}

/** The driver that a file belongs to, when it is neither the driver of `own`, nor a file of the same family, nor shared by all. */
function otherDriver(own: string, file: string): string | undefined {
  const path = file.replace(/\.d\.ts$/, '.js')
  if (!path.startsWith('dist/drivers/') || path.startsWith('dist/drivers/shared/') || path === own) return undefined
  const entry = entries.find((candidate) => candidate.dist === path)
  if (entry) return entry.name
  const family = dirname(path)
  return family !== 'dist/drivers' && family === dirname(own) ? undefined : path
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
