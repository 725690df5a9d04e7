/** The command line as a child process, and a store for it. */
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { withDirectory } from '../support/engines.ts'
import { seed } from '../ops/seed.ts'

/** What is built: `npm run build` comes first. */
export const PROGRAM = resolve(import.meta.dirname, '../../dist/cli/main.js')

/** What a command came to. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A directory with a seeded store, and commands that run in it. */
export interface Place {
  readonly directory: string
  readonly url: string
  /** Runs a command on the store. */
  run(...args: readonly string[]): Promise<Ran>
  /** Runs a command with this on standard input. */
  feed(input: string, ...args: readonly string[]): Promise<Ran>
  /** Runs a command without naming a store, unless by the environment. */
  bare(env: Record<string, string>, ...args: readonly string[]): Promise<Ran>
  /** Opens the store for some work of the test's own. */
  within<T>(work: (holdfast: Holdfast) => Promise<T>): Promise<T>
}

function start(directory: string, env: Record<string, string>, input: string, args: readonly string[]): Promise<Ran> {
  return new Promise((done) => {
    const options = { cwd: directory, env: { PATH: process.env['PATH'], ...env }, timeout: 60_000 }
    const child = execFile(process.execPath, [PROGRAM, ...args], options, (error, out, err) =>
      done({ code: error ? Number(error.code ?? -1) : 0, out, err }),
    )
    child.stdin!.end(input)
  })
}

/** Does work in a place of its own. */
export const inPlace = (work: (place: Place) => Promise<void>): Promise<void> =>
  withDirectory(async (directory) => {
    const path = join(directory, 'a.db')
    const url = `sqlite:${path}`
    await (await seed(sqlite({ path }))).close()
    await work({
      directory,
      url,
      run: (...args) => start(directory, { HOLDFAST_URL: url }, '', args),
      feed: (input, ...args) => start(directory, { HOLDFAST_URL: url }, input, args),
      bare: (env, ...args) => start(directory, env, '', args),
      async within(inner) {
        const holdfast = createHoldfast({ driver: sqlite({ path }) })
        try {
          return await inner(holdfast)
        } finally {
          await holdfast.close()
        }
      },
    })
  })
