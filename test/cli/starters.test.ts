/** What `init` writes runs as it is, each where it is meant to, and remembers. */
import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type BuildOptions, build } from 'esbuild'
import { Miniflare, type MiniflareOptions } from 'miniflare'
import { expect, it, vi } from 'vitest'
import { installFake } from '../drivers/indexeddb/support.ts'
import { type Place, inPlace } from './support.ts'

// Every command is a process.
vi.setConfig({ testTimeout: 120_000 })

const ROOT = resolve(import.meta.dirname, '../..')

/** Writes a starter into a directory that has the package and better-sqlite3 installed. */
const started = (place: string, work: (home: string, given: Place) => Promise<void>): Promise<void> =>
  inPlace(async (given) => {
    const home = join(given.directory, place)
    expect((await given.bare({}, 'init', place, '--for', place)).code).toBe(0)
    mkdirSync(join(home, 'node_modules'))
    symlinkSync(ROOT, join(home, 'node_modules/holdfast'))
    symlinkSync(join(ROOT, 'node_modules/better-sqlite3'), join(home, 'node_modules/better-sqlite3'))
    await work(home, given)
  })

/** One script of the starter and all that it imports. */
async function bundled(home: string, options: BuildOptions): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(home, 'holdfast.mjs')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    ...options,
    write: false,
  })
  return outputFiles[0]!.text
}

it('for Node', () =>
  started('node', async (home) => {
    const run = async () => (await promisify(execFile)(process.execPath, ['holdfast.mjs'], { cwd: home })).stdout
    expect(await run()).toBe('Started order-17, seen 1 times\n')
    expect(await run()).toBe('Found order-17, seen 2 times\n')
  }))

it('for browsers', () =>
  started('browser', async (home) => {
    installFake()
    const code = await bundled(home, { platform: 'browser' })
    const seen = { textContent: '' }
    Object.assign(globalThis, { document: { querySelector: (name: string) => (name === '#seen' ? seen : null) } })
    const visit = async (n: number): Promise<string> => {
      await import(`data:text/javascript,${encodeURIComponent(`${code}\n// ${n}`)}`)
      return seen.textContent
    }
    expect(await visit(1)).toBe('Started order-17, seen 1 times')
    expect(await visit(2)).toBe('Found order-17, seen 2 times')
  }))

it('for Workers', () =>
  started('worker', async (home) => {
    const script = await bundled(home, { conditions: ['workerd', 'worker'] })
    const worker = new Miniflare({
      host: '127.0.0.1',
      modules: true,
      script,
      compatibilityDate: '2026-01-01',
      durableObjects: { ORDERS: { className: 'Orders', useSQLite: true } },
    } as MiniflareOptions)
    try {
      const ask = async () => (await worker.dispatchFetch('http://worker/')).json()
      expect(await ask()).toEqual({ created: true, seen: 1 })
      expect(await ask()).toEqual({ created: false, seen: 2 })
    } finally {
      await worker.dispose()
    }
  }))
