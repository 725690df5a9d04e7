import { describe, expect, test } from 'vitest'
import type { Driver } from '../../src/core/driver.ts'
import type { Holdfast } from '../../src/holdfast.ts'
import type { RunOutcome, StepInfo, Workflow } from '../../src/runner/index.ts'
import { engines } from '../support/engines.ts'
import { RUN, go, logOf, on } from './setting.ts'

/** A service that recognises a request that was repeated. */
function service() {
  const effects: string[] = []
  const keys = new Set<string>()
  return {
    effects,
    /** How often it was asked, by key. */
    asked: new Map<string, number>(),
    deed(what: string, { idempotencyKey }: StepInfo): string {
      this.asked.set(idempotencyKey, (this.asked.get(idempotencyKey) ?? 0) + 1)
      if (!keys.has(idempotencyKey)) effects.push(what)
      keys.add(idempotencyKey)
      return what
    },
  }
}

/** A driver that dies at its n-th call, before or after the call takes effect, and stays dead. */
const dyingAt =
  (n: number, after: boolean, onDeath: () => void) =>
  (driver: Driver): Driver => {
    let calls = 0
    async function die<T>(call: () => Promise<T>): Promise<T> {
      calls++
      if (calls < n) return call()
      onDeath()
      if (after && calls === n) await call()
      throw new Error('The process is gone')
    }
    return {
      ...driver,
      read: (reads, options) => die(() => driver.read(reads, options)),
      commit: (request, options) => die(() => driver.commit(request, options)),
    }
  }

/** Runs until it has ended; between two calls, a message comes. */
async function finish<R>(holdfast: Holdfast, workflow: Workflow<R>): Promise<RunOutcome<R>> {
  for (;;) {
    const outcome = await go(holdfast, workflow, { retry: { maxAttempts: 3, initialDelay: 1 }, maxWait: 10 })
    if (outcome.status !== 'waiting') return outcome
    await holdfast.signals.sendMessage(RUN, 'decision', 'yes', { idempotencyKey: 'decision' })
  }
}

// Rows 4 and 9 of the failures, SY-86, RV-18, RV-28: killed at every await point, and then run by a fresh process.
describe.each(engines)('a run over $name that is killed at any call', (engine) => {
  test.each([
    ['before', 'completed'],
    ['after', 'completed'],
    ['before', 'failed'],
    ['after', 'failed'],
    ['before', 'cancelled'],
    ['after', 'cancelled'],
  ])('%s it takes effect, is %s as if nothing had been', (when, end) =>
    on(engine, async ({ begin }) => {
      for (let n = 1; ; n++) {
        const it = service()
        let isDead = false
        const cleaner = await begin()
        await cleaner.workflows.deleteRun(RUN)
        const workflow: Workflow<string> = async (ctx) => {
          await ctx.step('reserve', (info) => it.deed('reserve', info), {
            compensate: (_, info) => it.deed('release', info),
          })
          await ctx.step(
            'charge',
            (info) => {
              if (info.attempt === 1) throw new Error('busy')
              return it.deed('charge', info)
            },
            { compensate: (_, info) => it.deed('refund', info) },
          )
          await Promise.all(['x', 'y'].map((name) => ctx.step(name, (info) => it.deed('notify', info))))
          await ctx.sleep(2)
          const decision = await ctx.message('decision')
          if (end === 'cancelled') {
            await ctx.step('cancel', () => cleaner.signals.storeSignal(RUN, 'cancel'))
            await ctx.step('never', (info) => it.deed('never', info))
          }
          if (end === 'failed') throw new Error(`said ${String(decision)}`)
          await ctx.step('ship', (info) => it.deed('ship', info))
          return `shipped, as ${String(decision)}`
        }
        const dying = await begin(dyingAt(n, when === 'after', () => (isDead = true)))
        const first = await finish(dying, workflow).catch(() => undefined)
        const holdfast = await begin()
        const outcome = await finish(holdfast, workflow)
        if (first && !isDead) expect(outcome).toEqual(first)
        expect(outcome).toEqual(
          end === 'completed'
            ? { status: 'completed', result: 'shipped, as yes' }
            : end === 'failed'
              ? { status: 'compensated', error: 'said yes' }
              : { status: 'compensated', error: 'The run was cancelled', cancelled: true },
        )
        expect(it.effects).toEqual([
          ...['reserve', 'charge', 'notify', 'notify'],
          ...(end === 'completed' ? ['ship'] : ['refund', 'release']),
        ])
        // Only what was under way when the process died was asked for again.
        expect([...it.asked.values()].filter((times) => times > 1).length).toBeLessThanOrEqual(2)
        const log = await logOf(holdfast)
        expect(new Set(log).size).toBe(log.length)
        const { items } = await holdfast.signals.listMessages(RUN, 'decision')
        expect(items.map(({ consumed }) => consumed)).toEqual([true])
        if (!isDead) {
          expect(n).toBeGreaterThan(15)
          return
        }
      }
    }),
  )
})
