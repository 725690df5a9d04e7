/**
 * Installs the packed tarball into an empty folder, without a network, and looks at what a user then has: this package alone, no
 * larger than it may be, without install scripts, with every import and every link of its pages leading somewhere, and a
 * command line that works without any client, and says which one a store needs.
 *
 * Usage: tsx scripts/installed.ts <tarball>
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { manifest } from './entries.ts'

/** Bytes that all files of the package may have. */
const LARGEST = 2_000_000
/** Pages that people open first, and what they must not lack. */
const REQUIRED = ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'llms.txt', 'docs/architecture.md']
/** Links into the repository must name a file of it. */
const REPOSITORY = /^https:\/\/github\.com\/holdfast-dev\/holdfast\/(?:blob|tree)\/main\/([^#]+)/

const tarball = process.argv[2]
if (!tarball) throw new Error('Usage: tsx scripts/installed.ts <tarball>')
// Not in this repository, whose own node_modules would be found from there.
const project = mkdtempSync(join(tmpdir(), 'holdfast-installed-'))
process.once('exit', () => rmSync(project, { recursive: true, force: true }))
writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true }))
const said = execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', resolve(tarball)], {
  cwd: project,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'pipe'],
})

const problems: string[] = []
const folders = readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'))
if (folders.join() !== manifest.name)
  problems.push(`npm installed ${folders.join(', ')}, it must be ${manifest.name} alone`)
if (!/added 1 package\b/.test(said)) problems.push(`npm said ${JSON.stringify(said)}`)

const home = join(project, 'node_modules', manifest.name)
const installed = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
  readonly scripts?: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>
}
for (const name of Object.keys(installed.peerDependencies)) {
  if (!installed.peerDependenciesMeta[name]?.optional) problems.push(`The peer dependency ${name} is not optional`)
}
for (const name of ['preinstall', 'install', 'postinstall']) {
  if (installed.scripts?.[name] !== undefined) problems.push(`The script ${name} would run at a user's`)
}

const files = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((file) =>
  statSync(join(home, file)).isFile(),
)
const bytes = files.reduce((sum, file) => sum + statSync(join(home, file)).size, 0)
if (bytes > LARGEST) problems.push(`The package has ${bytes} bytes, it may have ${LARGEST}`)
for (const file of REQUIRED) if (!files.includes(file)) problems.push(`${file} is not in the package`)

for (const file of files) {
  const text = readFileSync(join(home, file), 'utf8')
  if (/\.(js|d\.ts)$/.test(file)) checkImports(file, text)
  if (/\.(md|txt)$/.test(file)) checkLinks(file, text)
}

expectCommand(['--version'], 0, manifest.version)
expectCommand(['runs', '--store', 'memory:', '--json'], 0, '')
for (const [url, peer] of [
  ['redis://127.0.0.1:1', 'redis'],
  ['postgres://127.0.0.1:1/none', 'pg'],
]) {
  expectCommand(['stats', '--store', url!], 2, `This needs the package ${peer}. Install it: npm install ${peer}`)
}

console.log(`${manifest.name}: ${files.length} files, ${bytes} bytes, and nothing else in node_modules`)
for (const problem of problems) console.error(problem)
process.exitCode = problems.length ? 1 : 0

/** Runs the installed command line, and compares its exit code and all that it prints. */
function expectCommand(args: readonly string[], status: number, printed: string): void {
  const program = join(home, manifest.bin['holdfast']!)
  const result = spawnSync(process.execPath, [program, ...args], { cwd: project, encoding: 'utf8' })
  const output = `${result.stdout}${result.stderr}`.trim()
  if (result.status !== status || output !== printed) {
    problems.push(`holdfast ${args.join(' ')} ended with ${result.status} and printed ${JSON.stringify(output)}`)
  }
}

/** What leaves the package is of the runtime, or an optional peer. */
function checkImports(file: string, text: string): void {
  for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
    if (/^(\.|node:|bun:|cloudflare:)/.test(fileName)) continue
    const name = fileName.split('/', fileName.startsWith('@') ? 2 : 1).join('/')
    if (!(name in installed.peerDependencies)) problems.push(`${file} imports ${name}, which nobody installs`)
  }
}

/** A link leads to a file of the package, or by its address to one of the repository, or elsewhere. */
function checkLinks(file: string, text: string): void {
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    const path = REPOSITORY.exec(target!)?.[1]
    if (path !== undefined && !existsSync(path))
      problems.push(`${file} links to ${target}, which is not in the repository`)
    if (/^(https?:|#)/.test(target!)) continue
    const reached = join(dirname(file), target!.split('#')[0]!)
    if (!files.includes(relative('.', reached)))
      problems.push(`${file} links to ${target}, which is not in the package`)
  }
}
