import { describe, expect, test } from 'vitest'
import type { Workflow } from '../../src/runner/index.ts'
import { engines } from '../support/engines.ts'
import { RUN, deeds, go, logOf, on } from './setting.ts'

describe.each(engines)('an operator of a run over $name', (engine) => {
  const plusOne: Workflow<number> = async (ctx) => {
    const charged = await ctx.step('charge', (): number => {
      throw new Error('No connection')
    })
    return ctx.step('add', () => charged + 1)
  }

  // RV-22, RV-23: the override payload, and what comes after goes on from it.
  test('decides what a step gives, which is done and on record in one commit', () =>
    on(engine, async ({ begin }) => {
      const later = { retry: { maxAttempts: 9, initialDelay: 60_000 } }
      const holdfast = await begin()
      expect(await go(holdfast, plusOne, later)).toMatchObject({ status: 'waiting' })
      await holdfast.persistence.saveIntervention(RUN, { targetStep: 'charge', payload: 100 })
      const other = await begin()
      expect(await go(other, plusOne, later)).toEqual({ status: 'completed', result: 101 })
      expect(await logOf(other)).toEqual([
        'step.retried charge',
        'intervention.taken charge',
        'step.completed charge',
        'step.completed add',
        'run.completed',
      ])
      const { interventions } = (await other.persistence.load(RUN))!
      expect(interventions).toMatchObject([{ id: 1, targetStep: 'charge', payload: 100, consumed: true }])
    }))

  test('decides about a wait, and about several steps', () =>
    on(engine, async ({ begin }) => {
      const workflow: Workflow<unknown[]> = async (ctx) => {
        await ctx.sleep('1 h')
        return [await ctx.message('approved'), await ctx.step('ship', () => 'shipped')]
      }
      const holdfast = await begin()
      expect(await go(holdfast, workflow)).toMatchObject({ status: 'waiting' })
      for (const [targetStep, payload] of [
        ['sleep', undefined],
        ['message approved', 'by phone'],
        ['no such step', 1],
      ] as const) {
        await holdfast.persistence.saveIntervention(RUN, { targetStep, payload })
      }
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: ['by phone', 'shipped'] })
    }))

  test('is not heard while the run is paused', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      await go(holdfast, plusOne, { retry: { maxAttempts: 9, initialDelay: 60_000 } })
      await holdfast.persistence.saveIntervention(RUN, { targetStep: 'charge', payload: 100 })
      await holdfast.signals.storeSignal(RUN, 'pause')
      await holdfast.signals.checkAndPause(RUN)
      expect(await go(holdfast, plusOne)).toEqual({ status: 'paused' })
      expect((await holdfast.persistence.load(RUN))?.interventions[0]?.consumed).toBe(false)
      await holdfast.signals.unpause(RUN)
      expect(await go(holdfast, plusOne)).toEqual({ status: 'completed', result: 101 })
    }))

  // RV-14
  test('completes a run that does not complete itself', () =>
    on(engine, async ({ begin }) => {
      const { done, count } = deeds()
      const workflow: Workflow<string> = (ctx) => ctx.step('ship', () => (done.push('ship'), 'shipped'))
      const open = { autoComplete: false }
      for (let i = 0; i < 2; i++) {
        const holdfast = await begin()
        expect(await go(holdfast, workflow, open)).toEqual({ status: 'completed', result: 'shipped' })
        expect((await holdfast.persistence.load(RUN))?.completion).toBeUndefined()
        expect(await logOf(holdfast)).toEqual(['step.completed ship'])
      }
      expect(count('ship')).toBe(1)
      const { persistence } = await begin()
      expect((await persistence.complete(RUN, 'completed')).duplicate).toBe(false)
    }))

  // RV-14: what failed is undone once, however often it is run.
  test('completes a run that failed and did not complete itself', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const workflow: Workflow = async (ctx) => {
        await ctx.step('charge', () => done.push('charge'), { compensate: () => done.push('refund') })
        throw new Error('No stock')
      }
      for (let i = 0; i < 2; i++) {
        const holdfast = await begin()
        const outcome = await go(holdfast, workflow, { autoComplete: false })
        expect(outcome).toEqual({ status: 'compensated', error: 'No stock' })
        expect((await holdfast.workflows.getRun(RUN))?.completion).toBeUndefined()
      }
      expect(done).toEqual(['charge', 'refund'])
    }))

  // RV-29: a step of the same name before it is not the active one.
  test('sees a run go on at its active step, also where a step repeats', () =>
    on(engine, async ({ begin }) => {
      const { done, count } = deeds()
      let isOut = true
      const workflow: Workflow<string> = async (ctx) => {
        for (const page of ['a', 'b', 'c']) {
          await ctx.step('fetch', () => {
            done.push(page)
            if (page === 'c' && isOut) throw new Error('Out of order')
          })
        }
        return 'all'
      }
      const retry = { maxAttempts: 9, initialDelay: 60_000 }
      const outcome = await go(await begin(), workflow, { retry })
      expect(outcome).toMatchObject({ status: 'waiting' })
      const holdfast = await begin()
      expect((await holdfast.workflows.getRun(RUN))?.position).toMatchObject({ kind: 'wait', stepId: 'retry fetch#3' })
      isOut = false
      await holdfast.persistence.saveIntervention(RUN, { targetStep: 'fetch#3' })
      expect(await go(holdfast, workflow, { retry })).toEqual({ status: 'completed', result: 'all' })
      expect(['a', 'b', 'c'].map(count)).toEqual([1, 1, 1])
    }))
})
