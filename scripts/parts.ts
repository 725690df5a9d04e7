/**
 * The real parts that tests need beside the npm dependencies: where each is found, how it is installed, and which
 * suites cannot run without it. Run as a script, `npm run parts`, it installs what is missing and reports; tests ask `part()`.
 *
 * Nothing is skipped in silence: what is missing is listed with its suites, and with CI=true it is a failure.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

interface Part {
  readonly what: string
  readonly suites: readonly string[]
  /** Where it is, or `undefined` when it is not there or does not work. */
  find(): string | undefined
  /** Throws when it cannot be installed here. */
  install(): void
}

/** Installed apart from node_modules: the `node` package would put its own `node` before the machine's in npm scripts. */
const DIRECTORY = resolve(import.meta.dirname, '../.parts')
const NODE22 = { name: 'node', version: '22.23.3' }
const NODE24 = { name: 'node', version: '24.21.0' }
const DENO = { name: 'deno', version: '2.9.6' }
const BUN = { name: 'bun', version: '1.4.5' }
const DENO_BINARY = 'deno'
const BETTER_SQLITE3_13 = { name: 'better-sqlite3', version: '13.2.0' }

const PARTS = {
  node22: {
    what: 'Node 22',
    suites: ['the conformance suite and workflows in Node 22'],
    find: () => works(npmFolder(NODE22, 'bin/node')),
    install: () => installNpm(NODE22),
  },
  node24: {
    what: 'Node 24',
    suites: ['sqlite under Node 24', 'the example of holdfast/node-sqlite', 'workflows in Node 24'],
    find: () => works(npmFolder(NODE24, 'bin/node')),
    install: () => installNpm(NODE24),
  },
  betterSqlite13: {
    what: 'better-sqlite3 13, which needs Node 22 or newer',
    suites: ['sqlite under Node 24', 'the example of holdfast/node-sqlite'],
    find: () => existing(npmFolder(BETTER_SQLITE3_13, 'package.json')) && npmFolder(BETTER_SQLITE3_13),
    install: () => installNpm(BETTER_SQLITE3_13),
  },
  postgres: {
    what: 'PostgreSQL, 13 or newer',
    suites: ['postgres over a real server, by pg, postgres.js and HTTP', 'postgres crashes'],
    find: findPostgres,
    install: () => installApt('postgresql'),
  },
  pgbouncer: {
    what: 'PgBouncer',
    suites: ['postgres through a transaction pooler'],
    find: () => existing('/usr/sbin/pgbouncer') ?? onPath('pgbouncer'),
    install: () => installApt('pgbouncer'),
  },
  deno: {
    what: 'Deno',
    suites: ['the conformance suite and workflows in Deno', 'publishing to JSR, the package in Deno'],
    find: () => works(npmFolder(DENO, DENO_BINARY)),
    install: () => installNpm(DENO),
  },
  bun: {
    what: 'Bun',
    suites: ['the conformance suite and workflows in Bun'],
    find: () => works(npmFolder(BUN, 'bin/bun.exe')),
    install: () => installNpm(BUN),
  },
  sha256sum: {
    what: 'sha256sum',
    suites: ['checksum example'],
    ...fromApt('sha256sum', 'coreutils'),
  },
  redis: {
    what: 'redis-server',
    suites: ['upstash', 'the REST protocol of Upstash', 'the example of holdfast/upstash'],
    ...fromApt('redis-server'),
  },
  tmux: {
    what: 'tmux',
    suites: ['the command line on a terminal'],
    ...fromApt('tmux'),
  },
  zsh: {
    what: 'zsh',
    suites: ['completion in zsh'],
    ...fromApt('zsh'),
  },
  fish: {
    what: 'fish',
    suites: ['completion in fish'],
    ...fromApt('fish'),
  },
  tmpfs: {
    what: 'the right to mount a tmpfs',
    suites: ['full disk', 'read-only file system'],
    find: mountTmpfs,
    install: () => {
      throw new Error('needs root')
    },
  },
  chromium: {
    what: 'Chromium',
    suites: ['browsers: Chromium', 'browser example'],
    ...fromApt('chromium'),
  },
  firefox: {
    what: 'Firefox',
    suites: ['browsers: Firefox'],
    ...fromApt('firefox-esr'),
  },
  webkit: {
    what: 'WebKit, in its MiniBrowser, and a display without a screen',
    suites: ['browsers: WebKit'],
    find: () => onPath('xvfb-run') && onPath('Xvfb') && findMiniBrowser(),
    install: () => installApt('webkit2gtk-driver', 'xvfb', 'xauth'),
  },
} satisfies Record<string, Part>

export type PartName = keyof typeof PARTS

const found = new Map<PartName, string | undefined>()

/** Where a part is, or `undefined` when the suites that need it have to be skipped. */
export function part(name: PartName): string | undefined {
  if (!found.has(name)) found.set(name, PARTS[name].find())
  return found.get(name)
}

/** What is missing, one line each, with the suites that are skipped for it. In CI the process then fails. */
export function reportMissing(): string[] {
  const missing = names().filter((name) => !part(name))
  if (missing.length && process.env['CI'] === 'true') process.exitCode = 1
  return missing.map((name) => `${PARTS[name].what} is missing, skipped: ${PARTS[name].suites.join(', ')}`)
}

function names(): PartName[] {
  return Object.keys(PARTS) as PartName[]
}

function setUp(): void {
  for (const name of names()) {
    let trouble = ''
    if (!part(name)) {
      try {
        PARTS[name].install()
      } catch (cause) {
        trouble = `: ${(cause as Error).message.trim().replaceAll('\n', '\n    ')}`
      }
      found.delete(name)
    }
    console.log(`part ${name.padEnd(15)} ${part(name) ?? 'missing' + trouble}`)
  }
  for (const line of reportMissing()) console.log(line)
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
}

function existing(path: string): string | undefined {
  return existsSync(path) ? path : undefined
}

function works(binary: string): string | undefined {
  try {
    run(binary, '--version')
    return binary
  } catch {
    return undefined
  }
}

function onPath(command: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => join(directory, command))
    .find((path) => existsSync(path))
}

/** The directory of its programs: Debian keeps them off the path. */
function findPostgres(): string | undefined {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)) : []
  const onThePath = onPath('postgres')
  const candidates = [
    ...versions.map((version) => join(root, version, 'bin')),
    ...(onThePath ? [dirname(onThePath)] : []),
  ]
  return candidates.find((directory) => existsSync(join(directory, 'initdb')) && works(join(directory, 'postgres')))
}

function mountTmpfs(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-tmpfs-'))
  try {
    run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory)
    run('umount', directory)
    return onPath('mount')
  } catch {
    return undefined
  } finally {
    rmdirSync(directory)
  }
}

interface NpmPackage {
  readonly name: string
  readonly version: string
}

function npmPrefix({ name, version }: NpmPackage): string {
  return join(DIRECTORY, `${name}-${version}`)
}

function npmFolder(wanted: NpmPackage, ...path: string[]): string {
  return join(npmPrefix(wanted), 'node_modules', wanted.name, ...path)
}

function installNpm(wanted: NpmPackage): void {
  const { name, version } = wanted
  const prefix = npmPrefix(wanted)
  mkdirSync(prefix, { recursive: true })
  const manifest = { private: true, dependencies: { [name]: version }, allowScripts: { [name]: true } }
  writeFileSync(join(prefix, 'package.json'), JSON.stringify(manifest))
  run('npm', 'install', '--prefix', prefix, '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error')
}

/** Outside of PATH, in a directory that is named for the machine and the release. */
function findMiniBrowser(): string | undefined {
  try {
    return run('dpkg', '-L', 'libwebkit2gtk-4.1-0')
      .split('\n')
      .find((path) => path.endsWith('/MiniBrowser'))
  } catch {
    return undefined
  }
}

/** A program of one of Debian's packages, which mostly has its name. */
function fromApt(program: string, packageName = program): Pick<Part, 'find' | 'install'> {
  return { find: () => onPath(program), install: () => installApt(packageName) }
}

function installApt(...packageNames: string[]): void {
  if (process.getuid?.() !== 0 || !onPath('apt-get')) throw new Error('needs root and apt-get')
  // Another apt may be at work, as on a machine that has just started.
  const patient = ['-o', 'DPkg::Lock::Timeout=600']
  run('apt-get', ...patient, 'update')
  run('apt-get', ...patient, 'install', '--yes', '--no-install-recommends', ...packageNames)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) setUp()
