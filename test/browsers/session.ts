/** A browser at work on one program, from its start until it is told enough. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserEngine, launch } from './engines.ts'
import { serve } from './server.ts'

/** In memory where the machine has such a place: what is tested is not the disk. */
const PLACE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** A directory for a browser, gone when the work is done. */
export async function withProfile<T>(work: (directory: string) => Promise<T>, place: string = PLACE): Promise<T> {
  const directory = mkdtempSync(join(place, 'holdfast-browser-'))
  try {
    return await work(directory)
  } finally {
    // Processes that were just killed may still be leaving.
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

/** What a session is about. */
export interface SessionOptions<T> {
  /** How many of the reports end it. */
  readonly reports: number
  /** Milliseconds without a report after which the browser counts as stuck. One that is only slow goes on reporting. */
  readonly patience: number
  /** Of the address, one for each page; one page by default. */
  readonly query?: readonly string[]
  /** Where the browser keeps what it stores; in memory by default, where the machine can. */
  readonly place?: string
  /** Whether a report counts toward the end; its program waits for the answer. By default every report does. */
  readonly answer?: (report: T) => Promise<boolean>
}

/** Opens pages of a program in a fresh browser and gathers what they report. */
export const gather = <T>(
  engine: BrowserEngine,
  program: string | URL,
  { reports, patience, query = [''], place, answer = async () => true }: SessionOptions<T>,
): Promise<T[]> =>
  withProfile(async (directory) => {
    const gathered: T[] = []
    let onEnough: () => void
    const enough = new Promise<void>((resolve) => (onEnough = resolve))
    let timer: NodeJS.Timeout | undefined
    let onStuck: (error: Error) => void
    const stuck = new Promise<never>((_, reject) => (onStuck = reject))
    function expectReport(): void {
      clearTimeout(timer)
      timer = setTimeout(() => {
        const message = `${engine.name} has reported nothing for ${patience} ms, and ${gathered.length} of ${reports} times before`
        onStuck(new Error(message))
      }, patience)
    }
    const server = await serve(program, async (report) => {
      expectReport()
      if (await answer(report)) gathered.push(report)
      if (gathered.length === reports) onEnough()
    })
    const browser = launch(engine, directory, ...query.map((it) => server.url + it))
    expectReport()
    try {
      await Promise.race([enough, stuck])
      return gathered
    } finally {
      clearTimeout(timer)
      await browser.kill()
      await server.close()
    }
  }, place)
