/** How cases meet a test runner. @module */
import type { Case, Harness } from './case.ts'
import { cases } from './cases.ts'
import { createContext, wait } from './context.ts'

/** A reason, and the ids of the cases that are left out for it. */
export interface Skip {
  readonly reason: string
  readonly cases: readonly string[]
}

/** What the suite uses of a test runner; vitest, Jest, Mocha, `node:test`, Bun and Deno's `bdd` have it. */
export interface Runner {
  /** Opens a group of cases. */
  readonly describe: (name: string, body: () => void) => unknown
  /** Registers a case. */
  readonly it: {
    (name: string, body: () => Promise<void>): unknown
    /** Registers a case that is left out. */
    readonly skip?: (name: string, body: () => void) => unknown
  }
}

/** What to put through the suite, and how. */
export interface ConformanceOptions extends Runner {
  readonly harness: Harness
  /** Cases to leave out; each is printed with its reason, and an unknown id throws. */
  readonly skip?: readonly Skip[]
  /** Takes the lines about skipped cases; the console by default. */
  readonly log?: (line: string) => void
}

/**
 * Runs one case against a fresh database, or its opposite where the case does not apply.
 *
 * @throws what the case throws
 *
 * @example
 * ```ts
 * import { memory } from 'holdfast'
 * import { cases, runCase } from 'holdfast/testing'
 *
 * let time = 0
 * const create = async () => ({ driver: memory({ clock: () => time }), advance: (ms: number) => void (time += ms) })
 * const harness = { name: 'memory', create }
 * for (const it of cases) {
 *   await runCase(it, harness).catch((error) => console.log(it.id, it.name, error))
 * }
 * ```
 */
export async function runCase(it: Case, harness: Harness): Promise<void> {
  const { context, dispose } = await createContext(harness)
  try {
    const applies = it.needs === undefined || it.needs(context.capabilities, context.backend)
    await (applies ? it.run(context) : it.otherwise(context))
  } catch (error) {
    // What the clearing up finds, or waits for, is a consequence.
    await Promise.race([dispose().catch(() => {}), wait(1000)])
    throw error
  }
  await dispose()
}

/**
 * Registers all cases with a test runner.
 *
 * @param options - the driver, the runner, and what to leave out
 *
 * @example
 * ```ts
 * import { memory } from 'holdfast'
 * import { conformance } from 'holdfast/testing'
 * import { describe, it } from 'vitest'
 *
 * conformance({ harness: { name: 'memory', create: async () => ({ driver: memory() }) }, describe, it })
 * ```
 */
export const conformance = (options: ConformanceOptions): void => register(cases, options)

/** Registers some cases with a test runner. */
export function register(
  cases: readonly Case[],
  { harness, describe, it, skip = [], log = print }: ConformanceOptions,
): void {
  const reasons = reasonsOf(skip, cases)
  describe(`holdfast conformance of ${harness.name}`, () => {
    for (const group of new Set(cases.map((c) => c.group))) {
      describe(group, () => {
        for (const c of cases) {
          if (c.group !== group) continue
          const title = `${c.id} ${c.name}`
          const reason = reasons.get(c.id)
          if (reason === undefined) it(title, () => runCase(c, harness))
          else {
            log(`${harness.name}: skipped ${title}: ${reason}`)
            it.skip?.(`${title} (${reason})`, () => {})
          }
        }
      })
    }
  })
}

function reasonsOf(skip: readonly Skip[], cases: readonly Case[]): Map<string, string> {
  const known = new Set(cases.map((c) => c.id))
  const reasons = new Map<string, string>()
  for (const { reason, cases: ids } of skip) {
    for (const id of ids) {
      if (!known.has(id)) throw new Error(`Cannot skip ${id}: there is no such case`)
      reasons.set(id, reason)
    }
  }
  return reasons
}

function print(line: string): void {
  ;(globalThis as { console?: { log(line: string): void } }).console?.log(line)
}
