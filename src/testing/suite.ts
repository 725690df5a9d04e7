/** The link between cases and a test runner. @module */
import type { Case, Harness } from './case.ts'
import { cases } from './cases.ts'
import { createContext, wait } from './context.ts'

/** Cases to skip: a reason, and their ids. */
export interface Skip {
  readonly reason: string
  readonly cases: readonly string[]
}

/** The part of a test runner that the suite uses. vitest, Jest, Mocha, `node:test`, Bun and Deno's `bdd` have it. */
export interface Runner {
  /** Opens a group of cases. */
  readonly describe: (name: string, body: () => void) => unknown
  /** Registers a case. */
  readonly it: {
    (name: string, body: () => Promise<void>): unknown
    /** Registers a skipped case. */
    readonly skip?: (name: string, body: () => void) => unknown
  }
}

/** Options of {@link conformance}. */
export interface ConformanceOptions extends Runner {
  readonly harness: Harness
  /** Cases to skip. Each is printed with its reason; an unknown id throws. */
  readonly skip?: readonly Skip[]
  /** Receives the lines about skipped cases; the console by default. */
  readonly log?: (line: string) => void
}

/**
 * Runs one case against a fresh database. If the case does not apply to the driver, runs its opposite.
 *
 * @throws the error of the case
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
    // An error of the cleanup would only follow from this one.
    await Promise.race([dispose().catch(() => {}), wait(1000)])
    throw error
  }
  await dispose()
}

/**
 * Registers all cases with a test runner.
 *
 * @param options - the driver, the runner, and cases to skip
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
      if (!known.has(id)) throw new Error(`Cannot skip ${id}: the case does not exist`)
      reasons.set(id, reason)
    }
  }
  return reasons
}

function print(line: string): void {
  ;(globalThis as { console?: { log(line: string): void } }).console?.log(line)
}
