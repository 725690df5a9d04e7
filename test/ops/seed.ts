/** Stores with something of every family of keys in them, made by the stores themselves. */
import type { Clock } from '../../src/core/clock.ts'
import type { Database } from '../../src/core/database.ts'
import type { Entry } from '../../src/core/driver.ts'
import { EVERYTHING } from '../../src/core/keys.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import type { Driver } from '../../src/core/driver.ts'

/** An id with all that could be taken for a separator. */
export const ODD = 'a!b"c#d~e %*{}:ünï😀'

/** Seeds two tenants; the second has one run. */
export async function seed(driver: Driver, clock?: Clock): Promise<Holdfast> {
  const holdfast = createHoldfast({ driver, history: 2, ...(clock && { clock }) })
  const { state, persistence, workflows, signals, claims, idempotency } = holdfast

  await state.set('text', 'hello\nworld "quoted" \u2028 😀')
  await state.set('bytes', new Uint8Array([0, 1, 245, 255]))
  await state.set('nul', 'a\0b')
  await state.set('empty', '')
  await state.set('brief', 'gone in an hour', { ttl: 3_600_000 })
  await state.setJson('structured', { at: new Date(0), big: 42n, set: new Set(['kelp']) })

  for (const runId of ['order-1', ODD]) {
    await workflows.prepareRun({
      runId,
      workflow: 'order',
      definition: { steps: ['charge', 'ship'] },
      input: { cents: 4200 },
      context: { carrier: 'kelp express' },
      tags: ['gpu'],
      position: { kind: 'step', stepId: 'charge' },
    })
    await persistence.append({ runId, workflow: 'order', kind: 'begun', idempotencyKey: 'begun' })
    await persistence.append({ runId, workflow: 'order', kind: 'paid', payload: { amount: 42n } })
    await persistence.saveIntervention(runId, { targetStep: 'ship', payload: 1 })
    await persistence.saveIntervention(runId, { targetStep: 'ship', payload: 2 })
    await persistence.consumeIntervention(runId)
    await workflows.upsertStep(runId, { stepId: 'approve', status: 'waiting', waitId: `wait of ${runId}` })
    await workflows.saveTaskResult(runId, 'charge', new Uint8Array([1, 2]))
    await signals.sendMessage(runId, 'news', 'one', { idempotencyKey: 'n1' })
    await signals.sendMessage(runId, 'news', 'two')
    await signals.consumeMessage(runId, 'news')
    await state.saveSnapshot({ runId, state: { n: 1 } })
    await state.saveSnapshot({ runId, state: { n: 2 } })
    await state.set('own', 'value of the run', { runId })
    await claims.claimTask({ runId, workerId: 'w1' })
    await claims.claimTask({ runId, stepId: 'charge', workerId: 'w1', ttl: 3_600_000 })
  }
  await persistence.append({ runId: 'sleeper', workflow: 'nap', kind: 'begun' })
  await workflows.updateRun('sleeper', { position: { kind: 'delay', stepId: 'nap', wakeAt: 4e12 } })
  await persistence.append({ runId: 'stopping', workflow: 'nap', kind: 'begun' })
  await signals.storeSignal('stopping', 'cancel', { reason: 'Enough' })
  await persistence.append({ runId: 'done', workflow: 'order', kind: 'begun' })
  await persistence.complete('done', 'completed')
  await state.set('own', 'of no run', { runId: 'values only' })
  const key = { runId: 'order-1', workflow: 'order', kind: 'failed' }
  await idempotency.markCompensated(key)
  await idempotency.markCompensated({ ...key, kind: 'brief' }, { ttl: 3_600_000 })
  await idempotency.beginCompensation({ ...key, kind: 'begun' }, { lease: 3_600_000 })

  const other = holdfast.forTenant(ODD)
  await other.persistence.append({ runId: 'order-1', workflow: 'order', kind: 'begun' })
  await other.state.set('text', 'of the other tenant')
  return holdfast
}

/** All that is in a store, with the parts. */
export async function contentOf(db: Database): Promise<(Entry & { readonly part: string })[]> {
  const [{ parts }] = await db.read([{ parts: { ...EVERYTHING, limit: 100_000 } }])
  const pages = await db.read(parts.map((part) => ({ range: { part, ...EVERYTHING, limit: 100_000 } })))
  return pages.flatMap(({ entries }, i) => entries.map((entry) => ({ part: parts[i]!, ...entry })))
}

/** Runs of one status, or that go on, each with events and a step. */
export async function manyRuns(
  { workflows, persistence }: Holdfast,
  count: number,
  name: (i: number) => { readonly runId: string; readonly ends: boolean },
): Promise<void> {
  const workflow = 'order'
  for (let from = 0; from < count; from += 500) {
    await Promise.all(
      Array.from({ length: Math.min(500, count - from) }, async (_, i) => {
        const { runId, ends } = name(from + i)
        await workflows.createRun({ runId, workflow, position: { kind: 'step', stepId: 'charge' } })
        await persistence.append({ runId, workflow, kind: 'begun' })
        await workflows.saveTaskResult(runId, 'charge', i)
        if (ends) await persistence.complete(runId, 'completed')
      }),
    )
  }
}
