/** Real browsers, without a window: each is given a page to open and left alone, the page reports by itself. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PartName } from '../../scripts/parts.ts'
import { part } from '../support/parts.ts'

/** A kind of browser. */
export interface BrowserEngine {
  readonly name: string
  readonly part: PartName
  /** Whether a process is one of a page, by its command line. */
  isPage(args: readonly string[]): boolean
  /** Its command line: opens the pages, and keeps what they store in the directory. */
  command(binary: string, directory: string, urls: readonly string[]): Command
}

interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** A browser that runs. */
export interface Browser {
  readonly pid: number
  /** Ends it and all processes that it has started, at once, as a crash of the machine would. */
  kill(): Promise<void>
}

/** Of a Chromium without a window that asks, reports and fetches nothing. */
export const CHROMIUM_FLAGS: readonly string[] = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
  '--disable-dev-shm-usage',
  // What stays in the background must not be slowed down: several tabs work at the same time.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--password-store=basic',
  '--disable-popup-blocking',
]

/** Nothing is asked, reported or fetched. */
const FIREFOX_PREFERENCES = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.aboutwelcome.enabled': false,
  'browser.safebrowsing.downloads.remote.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.search.update': false,
  // What was open when it was killed is not opened again.
  'browser.sessionstore.resume_from_crash': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'browser.startup.page': 0,
  'datareporting.policy.dataSubmissionEnabled': false,
  // Tabs are in processes of their own: one that is halted must halt no other.
  'dom.ipc.processCount.webCOOP+COEP': 4,
  'dom.ipc.processCount.webIsolated': 4,
  'dom.min_background_timeout_value': 4,
  'extensions.getAddons.cache.enabled': false,
  'extensions.update.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': '',
  'toolkit.startup.max_resumed_crashes': -1,
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.unified': false,
}

export const CHROMIUM: BrowserEngine = {
  name: 'Chromium',
  part: 'chromium',
  isPage: (args) => args.includes('--type=renderer'),
  // Without a window it takes one page, which then opens the others.
  command: (program, directory, [first, ...others]) => ({
    program,
    args: [
      ...CHROMIUM_FLAGS,
      `--user-data-dir=${directory}`,
      `${first}#${new URLSearchParams(others.map((url): [string, string] => ['open', url])).toString()}`,
    ],
  }),
}

/** A Firefox with further preferences. */
export const firefoxWith = (preferences: Readonly<Record<string, unknown>>): BrowserEngine => ({
  name: 'Firefox',
  part: 'firefox',
  // The last word is the kind of the process; those of other kinds are not restarted by themselves.
  isPage: (args) => args.includes('-contentproc') && args.includes('tab'),
  command(program, directory, urls) {
    const lines = Object.entries({ ...FIREFOX_PREFERENCES, ...preferences }).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
    )
    writeFileSync(join(directory, 'user.js'), lines.join(''))
    return { program, args: ['--headless', '--no-remote', '--profile', directory, ...urls] }
  },
})

export const FIREFOX: BrowserEngine = firefoxWith({})

export const WEBKIT: BrowserEngine = {
  name: 'WebKit',
  part: 'webkit',
  isPage: ([program = '']) => program.endsWith('WebKitWebProcess'),
  command: (program, directory, urls) => ({
    program: 'xvfb-run',
    args: ['--auto-servernum', program, ...urls],
    // Its data goes where the desktop's conventions say.
    env: {
      HOME: directory,
      XDG_CACHE_HOME: join(directory, 'cache'),
      XDG_CONFIG_HOME: join(directory, 'config'),
      XDG_DATA_HOME: join(directory, 'data'),
      GDK_BACKEND: 'x11',
      NO_AT_BRIDGE: '1',
      WEBKIT_DISABLE_COMPOSITING_MODE: '1',
    },
  }),
}

/** Starts a browser with these pages open, on what an earlier one has left in the directory. */
export function launch(engine: BrowserEngine, directory: string, ...urls: string[]): Browser {
  mkdirSync(directory, { recursive: true })
  const { program, args, env } = engine.command(part(engine.part)!, directory, urls)
  // A group of its own, so that it can be ended whole.
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'ignore', detached: true })
  const ended = once(child, 'exit')
  // It would outlive who has started it.
  const end = (): void => killGroup(child)
  process.once('exit', end)
  return {
    pid: child.pid!,
    async kill() {
      process.off('exit', end)
      end()
      await ended
    },
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    process.kill(-pid!, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
