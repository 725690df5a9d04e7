/** Where the tests of the runner take place: a backend that outlives the processes that use it. */
import { join } from 'node:path'
import type { Driver } from '../../src/core/driver.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import {
  type AnyWorkflow,
  type FunctionRunOptions,
  type RunOutcome,
  type Workflow,
  defineWorkflow,
  run,
} from '../../src/runner/index.ts'
import { type Engine, withDirectory } from '../support/engines.ts'

/** A backend, and processes that come and go. */
export interface Setting {
  /** A fresh process: it remembers nothing, and whatever the last one had claimed is free. */
  begin(wrap?: (driver: Driver) => Driver): Promise<Holdfast>
}

/** The id of the run that most tests are about. */
export const RUN = 'order-17'

/** Plays on a fresh backend. */
export const on = (engine: Engine, play: (setting: Setting) => Promise<void>): Promise<void> =>
  withDirectory(async (directory) => {
    const path = join(directory, 'data.db')
    const begun: Holdfast[] = []
    const opened: Driver[] = []
    async function begin(wrap: (driver: Driver) => Driver = (driver) => driver): Promise<Holdfast> {
      // Only a file can be opened a second time.
      const driver = engine.isFile ? await engine.make(path) : (opened[0] ?? (await engine.make(path)))
      opened.push(driver)
      const holdfast = createHoldfast({ driver: wrap({ ...driver, close: async () => {} }), durability: 'relaxed' })
      begun.push(holdfast)
      const free = createHoldfast({ driver: { ...driver, close: async () => {} }, durability: 'relaxed' })
      await free.claims.forceReleaseClaim(RUN)
      return holdfast
    }
    try {
      await play({ begin })
    } finally {
      for (const holdfast of begun) await holdfast.close()
      for (const driver of new Set(opened)) await driver.close()
    }
  })

/** A driver that dies at its n-th commit, once that has taken effect. */
export const dyingAfter =
  (n: number) =>
  (driver: Driver): Driver => {
    let commits = 0
    const dead = (): never => {
      throw new Error('The process is gone')
    }
    return {
      ...driver,
      read: (reads, options) => (commits >= n ? dead() : driver.read(reads, options)),
      async commit(request, options) {
        if (commits >= n) dead()
        commits++
        const answer = await driver.commit(request, options)
        return commits === n ? dead() : answer
      },
    }
  }

/** Runs a workflow, with nothing to wait for between attempts; it returns where it would have to wait. */
export const go = <R, I = unknown>(
  holdfast: Holdfast,
  workflow: Workflow<R, I>,
  options: Partial<FunctionRunOptions<I>> = {},
): Promise<RunOutcome<R>> =>
  run(
    holdfast,
    {
      runId: RUN,
      workflow: 'order',
      lease: 3000,
      maxWait: 0,
      retry: { maxAttempts: 3, initialDelay: 0 },
      onError: () => {},
      ...options,
    },
    workflow,
  )

/** A function as a workflow of this name. */
export const named = (fn: Workflow<unknown, never>, name = 'order', version?: string): AnyWorkflow =>
  defineWorkflow({ name, ...(version !== undefined && { version }) }, fn as Workflow)

/** What is in the log, as `kind stepId`. */
export async function logOf({ persistence }: Holdfast, runId = RUN): Promise<string[]> {
  const { events = [] } = (await persistence.load(runId)) ?? {}
  return events.map(({ kind, stepId }) => (stepId === undefined ? kind : `${kind} ${stepId}`))
}

/** Counts what was done by name. */
export function deeds(): { readonly done: string[]; count(what: string): number } {
  const done: string[] = []
  return { done, count: (what) => done.filter((it) => it === what).length }
}

/** Resolves when it holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 2))
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Something to be waited for, and done from outside. */
export function latch(): { readonly wait: Promise<void>; open(): void } {
  let open = (): void => {}
  const wait = new Promise<void>((resolve) => (open = resolve))
  return { wait, open: () => open() }
}
