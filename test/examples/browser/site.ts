/** The browser example, built and served, and a browser that looks at it. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import puppeteer, { type Browser, type Page } from 'puppeteer-core'
import { preview } from 'vite'
import { part } from '../../support/parts.ts'
import type { Received } from '../../../examples/browser/vite/reports.ts'

const CONFIG = resolve(import.meta.dirname, '../../../examples/browser/vite.config.ts')
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A server of the built example. */
export interface Site {
  readonly port: number
  readonly url: string
  /** The reports that this server has got. */
  received(): Promise<Received[]>
  stop(): Promise<void>
}

/** Builds it as its users do: under a test runner's `NODE_ENV` Vite builds something else. */
export async function buildSite(): Promise<void> {
  const vite = join(dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin/vite.js')
  const env = { ...process.env, NODE_ENV: 'production' }
  await promisify(execFile)(process.execPath, [vite, 'build', '--config', CONFIG], { env })
}

/** @param port - any free one by default */
export async function serve(port = 0): Promise<Site> {
  const server = await preview({
    configFile: CONFIG,
    logLevel: 'error',
    preview: { host: '127.0.0.1', port, strictPort: true },
  })
  const address = server.httpServer.address() as { readonly port: number }
  const url = `http://127.0.0.1:${address.port}/`
  return {
    port: address.port,
    url,
    received: async () => (await fetch(`${url}api/reports`)).json() as Promise<Received[]>,
    stop: () => server.close(),
  }
}

/** A browser that can be killed and started again with what it has stored. */
export interface Device {
  newPage(): Promise<Page>
  /** Kills it without a warning. */
  kill(): Promise<void>
  /** Starts it with the same profile. */
  start(): Promise<void>
  /** Ends it, and forgets what it has stored. */
  end(): Promise<void>
}

export async function device(): Promise<Device> {
  const profile = mkdtempSync(join(tmpdir(), 'holdfast-browser-'))
  let browser: Browser | undefined
  const start = async (): Promise<void> => {
    browser = await puppeteer.launch({
      executablePath: part('chromium')!,
      userDataDir: profile,
      args: FLAGS,
      defaultViewport: { width: 1280, height: 900 },
    })
  }
  await start()
  return {
    start,
    newPage: () => browser!.newPage(),
    async kill() {
      const child = browser!.process()!
      const gone = new Promise((done) => child.once('exit', done))
      child.kill('SIGKILL')
      await gone
    },
    async end() {
      await browser?.close()
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
