/**
 * What Deno's users get, by JSR and by npm: `jsr.json` says what package.json says, can be published without slow types, and
 * the packed tarball is imported with `npm:` without a flag beyond the permission to read it.
 *
 * Usage: tsx scripts/deno.ts <tarball>
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { entries, manifest } from './entries.ts'
import { part } from './parts.ts'

/** Of the same package on JSR, where names have a scope. */
const SCOPE = '@holdfast/'

interface JsrManifest {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly exports: Record<string, string>
  readonly imports: Record<string, string>
}

const tarball = process.argv[2]
if (!tarball) throw new Error('Usage: tsx scripts/deno.ts <tarball>')

const jsr = JSON.parse(readFileSync('jsr.json', 'utf8')) as JsrManifest
const packages = manifest.peerDependencies
const wanted: JsrManifest = {
  name: SCOPE + manifest.name,
  version: manifest.version,
  license: manifest.license,
  exports: Object.fromEntries(entries.map(({ name, source }) => [name, `./${source}`])),
  imports: Object.fromEntries(Object.entries(packages).map(([name, range]) => [name, `npm:${name}@${range}`])),
}
for (const field of Object.keys(wanted) as (keyof JsrManifest)[]) {
  if (isDeepStrictEqual(jsr[field], wanted[field])) continue
  console.error(`jsr.json: ${field} must be ${JSON.stringify(wanted[field], undefined, 2)}, as package.json has it`)
  process.exitCode = 1
}

const deno = part('deno')
if (deno) {
  // Types are checked by tsc, against the globals that every runtime has; slow ones are looked for all the same.
  execFileSync(deno, ['publish', '--dry-run', '--allow-dirty', '--no-check', '--quiet'], { stdio: 'inherit' })
  importPacked(deno, tarball)
}

/** What is packed, in a project of a user's. */
function importPacked(binary: string, packed: string): void {
  const project = resolve('build/deno')
  const home = join(project, 'node_modules', manifest.name)
  rmSync(project, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  execFileSync('tar', ['-xzf', packed, '-C', home, '--strip-components=1'])
  symlinkSync(resolve('node_modules/drizzle-orm'), join(project, 'node_modules/drizzle-orm'))
  const dependencies = { [manifest.name]: manifest.version, 'drizzle-orm': packages['drizzle-orm'] }
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module', dependencies }))
  const program = join(project, 'main.ts')
  writeFileSync(
    program,
    `import { createHoldfast, memory } from 'npm:${manifest.name}'
import { nodeSqlite } from '${manifest.name}/node-sqlite'
for (const driver of [memory(), nodeSqlite({ path: ':memory:' })]) {
  const { state, close } = createHoldfast({ driver })
  console.log(driver.name, await state.increment('visits'))
  await close()
}
`,
  )
  // Outside of the project nothing but the linked package may be read.
  const readable = `--allow-read=${project},${resolve('node_modules/drizzle-orm')}`
  const output = execFileSync(binary, ['run', '--no-prompt', readable, program], { encoding: 'utf8', cwd: project })
  if (output !== 'memory 1\nnode-sqlite 1\n') throw new Error(`Deno printed ${JSON.stringify(output)}`)
}
