/** Repeated appends: recognised, and executed once. @module */
import { HoldfastError } from '../../core/errors.ts'
import { equal, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import {
  changesNothing,
  event,
  first,
  leavingOut,
  losing,
  ODD_IDS,
  RUN,
  several,
  spied,
  stores,
  structured,
} from '../stores.ts'

/** A key names an event within its run. */
export const byKey: Case = defineCase('PE-201', 'an event repeated under its key is a duplicate', async (t) => {
  const [one, two] = [stores(t).log, stores(t).log]
  await one.append(event('a'))
  const charge = event('charged', { idempotencyKey: 'charge', payload: structured(), stepId: 's' })
  equal(await one.append(charge), { seq: 2, duplicate: false })
  await one.append(event('c'))
  await changesNothing(t, async () => {
    for (const log of [one, two]) {
      equal(await log.append(charge), { seq: 2, duplicate: true })
      equal(await log.append({ ...charge, payload: structured() }), { seq: 2, duplicate: true })
    }
  })
})

/** The same key for another event is a mistake, and refused. */
export const otherContent: Case = defineCase('PE-202', 'a key with other content is a conflict', async (t) => {
  const [one, two] = [stores(t).log, stores(t).log]
  const charge = event('charged', { idempotencyKey: 'charge', payload: { amount: 1 } })
  await one.append(charge)
  await changesNothing(t, async () => {
    for (const log of [one, two]) {
      for (const more of [{ payload: { amount: 2 } }, { payload: undefined }, { kind: 'refunded' }, { stepId: 's' }]) {
        equal((await rejects(log.append({ ...charge, ...more }), 'CONFLICT')).details?.seq, 1)
      }
    }
  })
})

/** A seq names an event as well. */
export const bySeq: Case = defineCase('PE-203', 'an event repeated under its seq is a duplicate', async (t) => {
  const [one, two] = [stores(t).log, stores(t).log]
  await one.append(event('a', { seq: 1, payload: 1 }))
  await one.appendBatch([event('b', { seq: 2 }), event('c', { seq: 3 })])
  await changesNothing(t, async () => {
    for (const log of [one, two]) {
      equal(await log.append(event('a', { seq: 1, payload: 1 })), { seq: 1, duplicate: true })
      equal(await log.appendBatch([event('b', { seq: 2 }), event('c', { seq: 3 })]), { seq: 3, duplicate: true })
      await rejects(log.append(event('a', { seq: 1, payload: 2 })), 'CONFLICT')
      await rejects(log.appendBatch([event('b', { seq: 2 }), event('d', { seq: 3 })]), 'CONFLICT')
    }
  })
})

/** A batch is repeated as a whole. */
export const batch: Case = defineCase('PE-204', 'a batch repeated under its keys is a duplicate', async (t) => {
  const [one, two] = [stores(t).log, stores(t).log]
  const events = ['a', 'b', 'c'].map((key) => event(key, { idempotencyKey: key }))
  equal(await one.appendBatch(events), { seq: 3, duplicate: false })
  await changesNothing(t, async () => {
    for (const log of [one, two]) {
      equal(await log.appendBatch(events), { seq: 3, duplicate: true })
      equal(await log.appendBatch(events.slice(0, 2)), { seq: 2, duplicate: true })
      await rejects(log.appendBatch([...events, event('d', { idempotencyKey: 'd' })]), 'CONFLICT')
      await rejects(log.appendBatch([events[0]!, event('x')]), 'CONFLICT')
    }
  })
})

/** Meanwhile the caller's clock and the log went on. */
export const laterRepeat: Case = defineCase('PE-205', 'a repeat may come later, after other events', async (t) => {
  const { log } = stores(t)
  const charge = event('charged', { idempotencyKey: 'charge' })
  await log.append({ ...charge, at: 1 }, { expectedSeq: 0 })
  await log.append(event('b'))
  await changesNothing(t, async () => {
    equal(await log.append({ ...charge, at: 2 }, { expectedSeq: 0 }), { seq: 1, duplicate: true })
    equal(await log.append({ ...charge, at: 3, seq: 1 }), { seq: 1, duplicate: true })
  })
  equal(first((await log.loadEvents(RUN)).items).at, 1)
})

/** The answer was lost, but the append took effect. */
export const afterLostAnswer: Case = defineCase(
  'PE-206',
  'an append whose answer was lost can be repeated',
  async (t) => {
    for (const warm of [false, true]) {
      const line = losing(t.driver)
      const { log } = stores(t, { driver: line.driver })
      const runId = `warm ${warm}`
      if (warm) await log.append(event('a', { runId }))
      const seq = warm ? 2 : 1
      const charge = event('charged', { runId, idempotencyKey: 'charge', payload: { amount: 42n } })
      line.lose()
      equal((await rejects(log.append(charge), 'UNAVAILABLE')).ambiguous, true)
      equal(await log.append(charge), { seq, duplicate: true })
      const more = ['x', 'y'].map((key) => event(key, { runId, idempotencyKey: key }))
      line.lose()
      await rejects(log.appendBatch(more), 'UNAVAILABLE')
      equal(await log.appendBatch(more), { seq: seq + 2, duplicate: true })
      equal(await log.getLatestSeq(runId), seq + 2)
    }
  },
)

/** The append had no effect, so the repeat has. */
export const afterFailure: Case = defineCase('PE-207', 'an append that failed can be repeated', async (t) => {
  const { log, spy } = spied(t)
  const charge = event('charged', { idempotencyKey: 'charge' })
  spy.fail('commit', new HoldfastError('UNAVAILABLE', 'Locked', { retryable: true }))
  const calls = [log.append(charge), log.append(event('b'))]
  await Promise.all(calls.map((call) => rejects(call, 'UNAVAILABLE')))
  equal(await t.dump(), [])
  equal(await log.append(charge), { seq: 1, duplicate: false })
  equal(await log.append(charge), { seq: 1, duplicate: true })
})

/** Vercel workflow #2039: two workers, one event. */
export const concurrent: Case = defineCase('PE-208', 'of concurrent repeats exactly one is new', async (t) => {
  const handles = several(t, 4)
  const charge = event('charged', { idempotencyKey: 'charge' })
  const results = await atOnce(16, (i) => handles[i % 4]!.log.append(charge))
  equal(results.filter(({ duplicate }) => !duplicate).length, 1)
  equal(new Set(results.map(({ seq }) => seq)), new Set([1]))
  equal(await handles[0]!.log.getLatestSeq(RUN), 1)
})

/** A key is any text, and belongs to its run. */
export const ofTheRun: Case = defineCase('PE-209', 'keys of different runs and tenants are separate', async (t) => {
  const { log } = stores(t)
  for (const key of ODD_IDS) {
    equal((await log.append(event(`k ${key}`.slice(0, 60).toWellFormed(), { idempotencyKey: key }))).duplicate, false)
  }
  equal(await log.getLatestSeq(RUN), ODD_IDS.length)
  equal((await log.append(event('other', { runId: 'run-2', idempotencyKey: 'a' }))).duplicate, false)
  const other = stores(t, {}, 'another').log
  equal((await other.append(event('other', { idempotencyKey: 'a' }))).duplicate, false)
})

/** An exact repeat of an accepted append succeeds, even after the end. */
export const afterCompletion: Case = defineCase(
  'PE-210',
  'a repeat is recognised even after the run has ended',
  async (t) => {
    const { log } = stores(t)
    const charge = event('charged', { idempotencyKey: 'charge' })
    await log.append(charge)
    await log.complete(RUN, 'completed', { event: { kind: 'done', idempotencyKey: 'done' } })
    for (const it of [log, stores(t).log]) {
      await changesNothing(t, async () => {
        equal(await it.append(charge), { seq: 1, duplicate: true })
        equal(await it.append(event('charged', { seq: 1, idempotencyKey: 'charge' })), { seq: 1, duplicate: true })
        equal(await it.append(event('done', { idempotencyKey: 'done' })), { seq: 2, duplicate: true })
        await rejects(it.append(event('new', { idempotencyKey: 'new' })), 'ALREADY_COMPLETED')
        await rejects(it.append(event('new', { seq: 3 })), 'ALREADY_COMPLETED')
      })
    }
  },
)

/** It cannot be a repeat: the run never accepted an event of that workflow. */
export const otherWorkflow: Case = defineCase('PE-211', 'a repeat under another workflow is refused', async (t) => {
  const { log } = stores(t)
  await log.append(event('a', { idempotencyKey: 'a', seq: 1 }))
  await changesNothing(t, async () => {
    for (const it of [log, stores(t).log]) {
      await rejects(it.append(event('a', { idempotencyKey: 'a', workflow: 'other' })), 'WORKFLOW_MISMATCH')
      await rejects(it.append(event('a', { seq: 1, workflow: 'other', idempotencyKey: 'a' })), 'WORKFLOW_MISMATCH')
    }
  })
})

/** A refusal is the same whether or not the run is cached. */
export const sameRefusals: Case = defineCase('PE-212', 'caching does not change refusals', async (t) => {
  const warm = stores(t).log
  await warm.append(event('a', { seq: 1 }))
  await warm.append(event('a', { runId: 'ended' }))
  await warm.complete('ended', 'failed')
  for (const it of [() => warm, () => stores(t).log]) {
    const other = event('b', { workflow: 'other' })
    await rejects(it().append(other, { expectedSeq: 0 }), 'WORKFLOW_MISMATCH')
    await rejects(it().append(event('b', { runId: 'ended' }), { expectedSeq: 0 }), 'ALREADY_COMPLETED')
    await rejects(it().append(event('b', { runId: 'ended', seq: 2 }), { expectedSeq: 1 }), 'ALREADY_COMPLETED')
    await rejects(it().append(event('b'), { expectedSeq: 0 }), 'CONFLICT')
  }
})

/** A repeated batch of 20 000 events failed, because more values were missing than one request may ask for. */
export const manyValuesMissing: Case = defineCase(
  'PE-213',
  'a large batch is recognised as a repeat, even if its answer has no room for what is stored',
  async (t) => {
    const { log } = spied(t, { limits: { requestReads: 3 } }, leavingOut(t.driver))
    const events = upTo(10).map((seq) => event(`e${seq}`, { seq }))
    equal(await log.appendBatch(events), { seq: 10, duplicate: false })
    equal(await log.appendBatch(events), { seq: 10, duplicate: true })
  },
)
