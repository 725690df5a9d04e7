/** Random programs by several workers, who are killed at random and followed by others. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createHoldfast } from '../../../src/holdfast.ts'
import { type Context, defineWorkflow, replay, start, work } from '../../../src/runner/index.ts'
import { isTerminal } from '../../../src/runs/status.ts'
import { engines, withDirectory } from '../../support/engines.ts'
import { mortal } from './play.ts'
import { type Node, childOf, evaluate, generate, random } from './programs.ts'

const seed = Number(process.env['HOLDFAST_RUN_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const RUNS = Math.max(20, Math.floor(Number(process.env['HOLDFAST_RUN_PROGRAMS'] ?? 0) / 100))
const WORKERS = 3
const LEASE = 1500

describe.each(engines)('random programs by several workers over $name', (engine) => {
  test(`end as if nothing had been, with seed ${seed}`, { timeout: 600_000 }, () =>
    withDirectory(async (directory) => {
      const rnd = random(seed)
      const driver = await engine.make(join(directory, 'data.db'))
      await driver.open()
      const faults: string[] = []
      const trees = new Map<string, Node>(Array.from({ length: RUNS }, (_, i) => [`run ${i}`, generate(rnd)]))
      const keys = new Map<string, string>()
      const body = (isReplay: boolean) => async (ctx: Context) => {
        const seen = (name: string, key: string): void => {
          const what = `${ctx.runId} ${name}`
          if (isReplay) faults.push(`A replay does ${what}`)
          else if ((keys.get(key) ?? what) !== what) faults.push(`${key} is of ${keys.get(key)} and of ${what}`)
          keys.set(key, what)
        }
        return evaluate(trees.get(ctx.runId)!, ctx, seen).catch((error: Error) => error.message.length)
      }
      const program = defineWorkflow({ name: 'program' }, body(false))
      const child = childOf((name, key) => {
        if ((keys.get(key) ?? name) !== name) faults.push(`${key} is of ${keys.get(key)} and of ${name}`)
        keys.set(key, name)
      })
      const home = createHoldfast({ driver: { ...driver, close: async () => {} }, durability: 'relaxed' })
      for (const runId of trees.keys()) await start(home, program, { runId })
      const done = new AbortController()
      let kills = 0
      const errors: unknown[] = []

      /** One life of a worker after the other. */
      async function lane(): Promise<void> {
        while (!done.signal.aborted) {
          const dead = new AbortController()
          const n = rnd(4) === 0 ? Infinity : 5 + rnd(60)
          const holdfast = createHoldfast({
            driver: mortal(driver, n, rnd(2) === 0, () => dead.abort()),
            durability: 'relaxed',
          })
          const stop = (): void => dead.abort()
          done.signal.addEventListener('abort', stop)
          // One that is not killed is stopped in time for the others.
          const timer = setTimeout(stop, 3000)
          await work(holdfast, [program, child], {
            concurrency: 2,
            pollInterval: 20,
            lease: LEASE,
            maxDeliveries: 1000,
            grace: 500,
            retry: { maxAttempts: 30, initialDelay: 1 },
            signal: dead.signal,
            onError: (error) => {
              if ((error as { code?: unknown }).code === 'NON_DETERMINISTIC') errors.push(error)
            },
          }).catch(() => {})
          clearTimeout(timer)
          done.signal.removeEventListener('abort', stop)
          kills++
        }
      }
      const lanes = Array.from({ length: WORKERS }, lane)
      for (;;) {
        const { items } = await home.workflows.listRuns({ limit: 1000 })
        if (items.every(({ status }) => isTerminal(status)) || errors.length > 0) break
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      done.abort()
      await Promise.all(lanes)
      expect(errors).toEqual([])
      for (const runId of trees.keys()) {
        const run = (await home.workflows.getRun(runId))!
        const { events } = (await home.persistence.load(runId))!
        const again = await replay(defineWorkflow({ name: 'program' }, body(true)), { runId, events }, { grace: 500 })
        expect(again).toEqual({ status: 'completed', result: run.result })
        const completed = events.filter(({ kind }) => kind === 'step.completed').map(({ stepId }) => stepId)
        expect(new Set(completed).size).toBe(completed.length)
      }
      expect(faults).toEqual([])
      expect(kills).toBeGreaterThan(WORKERS)
      console.log(`seed ${seed}: ${RUNS} runs, ${kills} lives of workers`)
      await home.close()
      await driver.close()
    }),
  )
})
