/** Starts writers, kills them at random moments, and looks at what they leave behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Engine, withDirectory } from '../support/engines.ts'
import type { Ack, Mode, Order } from './content.ts'
import { type Ledger, ledger } from './ledger.ts'
import { faultsOf, faultsOfFile } from './verify.ts'

export interface CrashOptions {
  readonly engine: Engine
  readonly kills: number
  /** Of the moments of the kills. */
  readonly random: () => number
  readonly mode?: Mode
  /** After how many kills a new file is begun. */
  readonly killsPerFile?: number
  readonly onKill?: (report: CrashReport) => void
}

export interface CrashReport {
  readonly kills: number
  /** How many writers had written something when they were killed. */
  readonly killsWhileWriting: number
  readonly acknowledged: number
  /** What was wrong; the run ends with the first. */
  readonly violations: readonly string[]
}

/** The longest a writer is left alone once it writes, in milliseconds. */
const LONGEST = 250
/** How many of the kills come at any time since the start of the process, to hit the opening of the file too. */
const EARLY = 0.15
const LONGEST_EARLY = 900
const TOO_LONG = 30_000

/** Kills writers until it has been done so often, or something is wrong. */
export async function crash(options: CrashOptions): Promise<CrashReport> {
  const { kills, killsPerFile = 25 } = options
  let report: CrashReport = { kills: 0, killsWhileWriting: 0, acknowledged: 0, violations: [] }
  while (report.kills < kills && report.violations.length === 0) {
    await withDirectory(async (directory) => {
      const book = ledger()
      for (let i = 0; i < killsPerFile && report.kills < kills && report.violations.length === 0; i++) {
        report = await killOnce(options, directory, book, report)
        options.onKill?.(report)
      }
    })
  }
  return report
}

async function killOnce(
  { engine, random, mode = 'correct' }: CrashOptions,
  directory: string,
  book: Ledger,
  before: CrashReport,
): Promise<CrashReport> {
  const path = join(directory, 'data.db')
  const order: Order = { engine: engine.name, path, mode, next: book.next() }
  const acks = await killWriter(order, join(directory, `acks.${before.kills}`), random)
  const known = book.acknowledged
  book.add(acks)
  const isThere = existsSync(path)
  const violations = [...(isThere ? await faultsOfFile(path) : []), ...(await faultsOf(await engine.make(path), book))]
  return {
    kills: before.kills + 1,
    killsWhileWriting: before.killsWhileWriting + (acks.length > 0 ? 1 : 0),
    acknowledged: before.acknowledged + book.acknowledged - known,
    violations,
  }
}

/** Lets a writer write into the file until its time has come; returns what it had been told. */
async function killWriter(order: Order, acksPath: string, random: () => number): Promise<Ack[]> {
  const acks = openSync(acksPath, 'a')
  const program = join(import.meta.dirname, 'writer.ts')
  const isEarly = random() < EARLY
  const delay = random() * (isEarly ? LONGEST_EARLY : LONGEST)
  const child = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(order)], {
    stdio: ['ignore', acks, 'inherit'],
  })
  const ended = once(child, 'exit')
  closeSync(acks)
  if (!isEarly) await firstLine(acksPath, () => child.exitCode !== null)
  await setTimeout(delay)
  child.kill('SIGKILL')
  const [code] = (await ended) as [number | null]
  if (code !== null) throw new Error(`The writer ended by itself with ${code}`)
  return readAcks(acksPath)
}

async function firstLine(path: string, hasEnded: () => boolean): Promise<void> {
  const deadline = performance.now() + TOO_LONG
  while (statSync(path).size === 0 && !hasEnded()) {
    if (performance.now() > deadline) throw new Error('The writer does not begin')
    await setTimeout(2)
  }
}

/** The last line may be cut off, then it was not written. */
const readAcks = (path: string): Ack[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Ack)
