/** What users see of the database: the views by which any client reads it, and their drizzle schema. */
import { drizzle } from 'drizzle-orm/node-postgres'
import { describe, expect, test } from 'vitest'
import { postgres } from '../../../src/drivers/postgres/driver.ts'
import * as views from '../../../src/drivers/postgres/schema.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { run } from '../../../src/runner/index.ts'
import { bin, overServer } from './support.ts'

describe.skipIf(!bin)('the views of PostgreSQL', () => {
  const real = overServer()

  test('show runs, steps with their results, events, snapshots and values', async () => {
    const database = await real.pool.take()
    try {
      const holdfast = createHoldfast({ driver: postgres({ db: database.pool }), tenant: 'acme corp' })
      const { state } = holdfast
      const outcome = await run(holdfast, { runId: 'r 1', workflow: 'order' }, async (ctx) => {
        await ctx.step('charge', () => ({ cents: 4200 }))
        await ctx.step('note', () => undefined)
        return 'done'
      })
      expect(outcome).toEqual({ status: 'completed', result: 'done' })
      await state.set('über x', 'mine', { runId: 'r 1' })
      await state.set('a b', new Uint8Array([1, 0]))
      await state.saveSnapshot({ runId: 'r 2', state: { items: ['x'] } })
      const db = drizzle(database.pool)
      const whose = { tenant: 'acme corp', runId: 'r 1' }
      expect(await db.select().from(views.runs).orderBy(views.runs.runId)).toMatchObject([
        { ...whose, workflow: 'order', status: 'completed', since: expect.any(Number) as number },
        { tenant: 'acme corp', runId: 'r 2' },
      ])
      expect(await db.select().from(views.steps).orderBy(views.steps.stepId)).toMatchObject([
        { ...whose, stepId: 'charge', status: 'completed', result: { cents: 4200 }, error: null },
        { ...whose, stepId: 'note', status: 'completed', result: null },
      ])
      expect(await db.select().from(views.events).orderBy(views.events.seq)).toMatchObject([
        { ...whose, seq: 1, kind: 'step.completed', stepId: 'charge', payload: { cents: 4200 } },
        { ...whose, seq: 2, kind: 'step.completed', stepId: 'note', payload: null },
        { ...whose, seq: 3, kind: 'run.completed', payload: 'done' },
      ])
      expect(await db.select().from(views.snapshots)).toMatchObject([
        { tenant: 'acme corp', runId: 'r 2', version: 1, state: { items: ['x'] } },
      ])
      expect(await db.select().from(views.values).orderBy(views.values.name)).toEqual([
        { tenant: 'acme corp', runId: null, name: 'a b', text: null, bytes: Buffer.from([1, 0]), expiresAt: null },
        { ...whose, name: 'über x', text: 'mine', bytes: null, expiresAt: null },
      ])
      await holdfast.close()
    } finally {
      await real.pool.giveBack(database)
    }
  })
})
