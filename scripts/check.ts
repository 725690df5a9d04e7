/**
 * The gates: everything that is checked without running a test. Independent ones run at the same time; the first that fails
 * ends the run.
 *
 * Usage: tsx scripts/check.ts [gate…]    (without names: all of them)
 */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { environment } from './environment.ts'
import { entries, manifest } from './entries.ts'

type Command = readonly [command: string, ...args: string[]]

interface Gate {
  readonly name: string
  readonly commands: readonly Command[]
  /** Gates that must have passed before, when they run as well. */
  readonly after: readonly string[]
}

const TARBALL = `build/${manifest.name}-${manifest.version}.tgz`

const CONFIGS = [
  'tsconfig.src.json',
  'tsconfig.node.json',
  'tsconfig.test.json',
  'examples/browser/tsconfig.page.json',
  'examples/browser/tsconfig.worker.json',
  'examples/browser/tsconfig.test.json',
  'examples/edge/tsconfig.worker.json',
  'examples/edge/tsconfig.pages.json',
]

/** Only what has changed since the last run is checked again. */
const compile = (config: string): Command => [
  'tsc',
  '--project',
  config,
  '--incremental',
  '--tsBuildInfoFile',
  `build/types/${config.replaceAll('/', '-')}`,
]

const gate = (name: string, after: readonly string[], ...commands: readonly Command[]): Gate => ({
  name,
  commands,
  after,
})

/** In the order in which they are begun: what others wait for, and what takes long, comes first. */
const GATES: readonly Gate[] = [
  // Examples import the package by name, which leads to dist.
  gate('build', [], ['tsdown']),
  gate('format', [], ['oxfmt', '--check']),
  gate('types', ['build'], ...CONFIGS.map(compile)),
  gate('lint', ['build'], ['oxlint']),
  gate('api-docs', [], ['typedoc', ...entries.map((entry) => entry.source)]),
  gate('pack', ['build'], ['npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', 'build']),
  gate('import-law', ['build'], ['depcruise', '--config', '.dependency-cruiser.mjs', 'src', 'examples']),
  gate('attw', ['pack'], ['attw', TARBALL, '--profile', 'esm-only', '--no-emoji', '--no-color']),
  gate('publint', ['pack'], ['publint', TARBALL, '--strict']),
  gate('closure', ['pack'], ['tsx', 'scripts/closure.ts', TARBALL]),
  gate('installed', ['pack'], ['tsx', 'scripts/installed.ts', TARBALL]),
  gate('deno', ['pack'], ['tsx', 'scripts/deno.ts', TARBALL]),
  gate('knip', ['build'], ['knip']),
  gate('size', ['build'], ['tsx', 'scripts/bundles.ts', '--check']),
]

/** Runs a command; resolves to all that it said if it failed. */
function failure([command, ...args]: Command): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += String(text)))
    child.once('error', (error) => resolve(`${said}${String(error)}`))
    child.once('close', (code) => resolve(code === 0 ? undefined : said))
  })
}

/** Whether it passed; what a gate says is shown only when it fails. */
async function passes({ name, commands }: Gate): Promise<boolean> {
  const start = performance.now()
  let said: string | undefined
  for (const command of commands) {
    said = await failure(command)
    if (said !== undefined) break
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  if (said !== undefined) console.error(said)
  console.log(`${said === undefined ? 'ok    ' : 'FAILED'} ${name.padEnd(12)} ${seconds.padStart(6)} s`)
  return said === undefined
}

const wanted = process.argv.slice(2)
for (const name of wanted) if (!GATES.some((it) => it.name === name)) throw new Error(`No gate named ${name}`)
mkdirSync('build/types', { recursive: true })

const left = GATES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
const running = new Map<Gate, Promise<void>>()
const failed: string[] = []

/** The next gate that waits for no other. */
function next(): Gate | undefined {
  if (failed.length > 0 || running.size === availableParallelism()) return undefined
  const unfinished = [...left, ...running.keys()].map(({ name }) => name)
  return left.find(({ after }) => !after.some((name) => unfinished.includes(name)))
}

async function run(it: Gate): Promise<void> {
  if (!(await passes(it))) failed.push(it.name)
  running.delete(it)
}

do {
  for (let it = next(); it !== undefined; it = next()) {
    left.splice(left.indexOf(it), 1)
    running.set(it, run(it))
  }
  await Promise.race(running.values())
} while (running.size > 0 || next() !== undefined)
process.exitCode = failed.length > 0 ? 1 : 0
