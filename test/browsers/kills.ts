/** Kills a browser, or the process of its page, at random moments while it writes, and looks at what is left. */
import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { memory } from '../../src/drivers/memory.ts'
import type { Commit, Driver } from '../../src/core/driver.ts'
import type { CrashReport } from '../crash/crashes.ts'
import type { Mode } from '../crash/content.ts'
import { ledger } from '../crash/ledger.ts'
import { faultsOf } from '../crash/verify.ts'
import { type Browser, type BrowserEngine, launch } from './engines.ts'
import type { StoredRow, WriterReport } from './programs/writer.ts'
import { serve } from './server.ts'
import { withProfile } from './session.ts'

/** What to kill, how often, and when. */
export interface KillOptions {
  readonly engine: BrowserEngine
  readonly kills: number
  /** Of the moments of the kills. */
  readonly random: () => number
  readonly mode?: Mode
  readonly onKill?: (report: CrashReport) => void
}

/** The longest a browser is left alone once it writes, in milliseconds. */
const LONGEST = 1000
/** How many of the kills hit the process of the page alone, some time before the rest. */
const PAGES = 0.4
const TOO_LONG = 60_000

/** Kills until it has been done so often, or something is wrong. */
export const killBrowsers = ({ engine, kills, random, mode = 'correct', onKill }: KillOptions): Promise<CrashReport> =>
  withProfile(async (directory) => {
    const book = ledger()
    let violations: string[] = []
    let killsWhileWriting = 0
    let onChecked: () => void
    let isLast = false
    const server = await serve('writer', async (report: WriterReport) => {
      if ('ack' in report) return book.add([report.ack])
      // The writers wait for the answer, so what is compared holds still.
      violations = await faultsOf(await holding(report.found), book)
      onChecked()
      return isLast || violations.length > 0 ? null : book.next()
    })

    /** Starts the browser on what is there, and waits until that was looked at. */
    async function start(): Promise<Browser> {
      const checked = new Promise<true>((resolve) => (onChecked = () => resolve(true)))
      const browser = launch(engine, directory, `${server.url}?mode=${encodeURIComponent(mode)}`)
      if (await Promise.race([checked, setTimeout(TOO_LONG, false, { ref: false })])) return browser
      await browser.kill()
      throw new Error(`${engine.name} does not begin`)
    }

    try {
      for (let n = 0; n < kills && violations.length === 0; n++) {
        const browser = await start()
        const before = book.acknowledged
        await setTimeout(random() * LONGEST)
        if (random() < PAGES) {
          killPages(engine, browser)
          await setTimeout(random() * 100)
        }
        await browser.kill()
        if (book.acknowledged > before) killsWhileWriting++
        onKill?.({ kills: n + 1, killsWhileWriting, acknowledged: book.acknowledged, violations })
      }
      isLast = true
      if (violations.length === 0) await (await start()).kill()
      return { kills, killsWhileWriting, acknowledged: book.acknowledged, violations }
    } finally {
      await server.close()
    }
  })

/** A driver that holds these rows, under their versions. */
async function holding(rows: readonly StoredRow[]): Promise<Driver> {
  const commits = rows.map(({ id, version, value }): Commit => {
    const [part, key] = id.split('\n') as [string, string]
    return { id: version, checks: [], ops: [{ put: { part, key }, value }], durability: 'relaxed' }
  })
  const driver = memory()
  await driver.commit({ id: 'rows', commits })
  return driver
}

/** Ends the processes of pages that belong to a browser. */
function killPages(engine: BrowserEngine, browser: Browser): void {
  for (const pid of pagesOf(engine, browser)) signal(pid, 'SIGKILL')
}

/**
 * Ends the process of one page. It is the one whose page is silent while the process is stopped: browsers do not say which
 * page is where, and have processes to spare.
 *
 * @param heard - how often the page, which reports all the time, has been heard so far
 */
export async function killPage(engine: BrowserEngine, browser: Browser, heard: () => number): Promise<void> {
  for (const pid of pagesOf(engine, browser)) {
    if (!signal(pid, 'SIGSTOP')) continue
    if (await isSilent(heard)) return void signal(pid, 'SIGKILL')
    signal(pid, 'SIGCONT')
  }
  throw new Error(`${engine.name} has no process for the page`)
}

/** Milliseconds in which the reports that were on their way have come. */
const ON_THEIR_WAY = 500
/** Milliseconds after which a page that reports all the time counts as silent. */
const SILENCE = 2000

async function isSilent(heard: () => number): Promise<boolean> {
  await setTimeout(ON_THEIR_WAY)
  const before = heard()
  for (const end = performance.now() + SILENCE; performance.now() < end; await setTimeout(10)) {
    if (heard() > before) return false
  }
  return true
}

/** The processes of pages that belong to a browser. */
function pagesOf(engine: BrowserEngine, { pid }: Browser): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const isOfBrowser = Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]!.split(' ')[2]) === pid
      const args = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0')
      // Chromium overwrites its own with a single text.
      return isOfBrowser && engine.isPage(args.flatMap((it) => it.split(' '))) ? [Number(name)] : []
    } catch {
      // It has ended in the meantime.
      return []
    }
  })
}

/** Sends a signal. @returns `false` if the process has ended in the meantime */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
