/** Instructions of operators: kept in order, taken once. @module */
import type { Intervention, NewIntervention } from '../../stores/persistence/interventions.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, event, RUN, several, spied, stores, structured } from '../stores.ts'

/** Saved, numbered and listed. */
export const saves: Case = defineCase('PE-501', 'interventions are numbered, and loaded with the run', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  const one = await log.saveIntervention(RUN, { targetStep: 'charge', payload: structured(), at: 5 })
  equal(one, { id: 1, targetStep: 'charge', payload: structured(), at: 5, consumed: false })
  const two = await log.saveIntervention(RUN, { targetStep: 'ship' })
  equal([two.id, Object.hasOwn(two, 'payload'), Number.isSafeInteger(two.at)], [2, false, true])
  const three = await log.saveIntervention(RUN, { targetStep: 'ship', payload: null })
  equal((await stores(t).log.load(RUN))?.interventions, [one, two, three])
  equal(await log.getLatestSeq(RUN), 1, 'They are no events')
})

/** First in, first out. */
export const inOrder: Case = defineCase('PE-502', 'interventions are taken in order, each once', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  equal(await log.consumeIntervention(RUN), undefined)
  for (const n of upTo(3)) await log.saveIntervention(RUN, { targetStep: `s${n}`, payload: n, at: n })
  equal(await log.consumeIntervention(RUN), { id: 1, targetStep: 's1', payload: 1, at: 1, consumed: true })
  equal((await stores(t).log.consumeIntervention(RUN))?.id, 2)
  await log.saveIntervention(RUN, { targetStep: 's4' })
  equal((await log.consumeIntervention(RUN))?.id, 3)
  equal((await stores(t).log.consumeIntervention(RUN))?.id, 4)
  equal([await log.consumeIntervention(RUN), await stores(t).log.consumeIntervention(RUN)], [undefined, undefined])
})

/** An intervention that was taken is still listed. */
export const mark: Case = defineCase('PE-503', 'a loaded run shows which interventions were taken', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  for (const n of upTo(3)) await log.saveIntervention(RUN, { targetStep: `s${n}` })
  await log.consumeIntervention(RUN)
  await log.consumeIntervention(RUN)
  equal(
    (await stores(t).log.load(RUN))?.interventions.map(({ id, consumed }) => [id, consumed]),
    [
      [1, true],
      [2, true],
      [3, false],
    ],
  )
})

/** An operator may still correct a run that has ended. */
export const afterCompletion: Case = defineCase('PE-504', 'an ended run takes interventions', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  await log.complete(RUN, 'failed')
  for (const it of [log, stores(t).log]) await it.saveIntervention(RUN, { targetStep: 's' })
  equal([(await log.consumeIntervention(RUN))?.id, (await log.consumeIntervention(RUN))?.id], [1, 2])
  equal((await log.load(RUN))?.completion, 'failed')
})

/** A run begins with an event, or it does not exist. */
export const unknown: Case = defineCase('PE-505', 'an unknown run takes no intervention', async (t) => {
  const { log } = stores(t)
  await rejects(log.saveIntervention(RUN, { targetStep: 's' }), 'NOT_FOUND')
  equal(await log.consumeIntervention(RUN), undefined)
  equal(await t.dump(), [])
})

/** LangGraph #8837: delivered once. */
export const once: Case = defineCase('PE-506', 'each of several concurrent consumers gets another one', async (t) => {
  const handles = several(t, 4)
  const { log } = handles[0]!
  await log.append(event('a'))
  for (const n of upTo(5)) await log.saveIntervention(RUN, { targetStep: `s${n}` })
  const taken = await atOnce(8, (i) => handles[i % 4]!.log.consumeIntervention(RUN))
  equal(
    taken.flatMap((it) => it?.id ?? []).toSorted((a, b) => a - b),
    upTo(5),
  )
  equal(taken.filter((it) => it === undefined).length, 3)
})

/** None is lost. */
export const savedTogether: Case = defineCase('PE-507', 'concurrent interventions get different ids', async (t) => {
  const handles = several(t, 4)
  await handles[0]!.log.append(event('a'))
  const saved = await atOnce(20, (i) => handles[i % 4]!.log.saveIntervention(RUN, { targetStep: `s${i}` }))
  const stored = (await handles[0]!.log.load(RUN))!.interventions
  equal(
    stored.map(({ id }) => id),
    upTo(20),
  )
  for (const { id, targetStep } of saved) equal(stored[id - 1]?.targetStep, targetStep)
})

/** Refused before any I/O. */
export const malformed: Case = defineCase('PE-508', 'a malformed intervention is refused', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  await changesNothing(t, async () => {
    for (const targetStep of ['', 'x'.repeat(257), '\ud800', undefined, null, 5, {}]) {
      await rejects(log.saveIntervention(RUN, { targetStep: targetStep as string }), 'INVALID_ARGUMENT')
    }
    for (const at of [-1, 0.5, Number.NaN, '1', null]) {
      const intervention = { targetStep: 's', at } as NewIntervention
      await rejects(log.saveIntervention(RUN, intervention), 'INVALID_ARGUMENT')
    }
    const error = await rejects(log.saveIntervention(RUN, { targetStep: 's', payload: [() => 1] }), 'SERIALIZATION')
    ok(String(error.details?.path).endsWith('[0]'), `The path is ${String(error.details?.path)}`)
  })
})

/** Taking it and recording the decision are one commit, or nothing happens. */
export const withEvent: Case = defineCase(
  'PE-509',
  'an intervention is taken and recorded in one commit',
  async (t) => {
    const { log, cost, spy } = spied(t)
    await log.append(event('a'))
    for (const n of upTo(2)) await log.saveIntervention(RUN, { targetStep: `s${n}`, payload: n, at: n })
    const note = ({ id, targetStep, payload }: Intervention) =>
      ({ kind: 'intervention.applied', stepId: targetStep, payload: { id, payload } }) as const
    equal(await cost(() => log.consumeIntervention(RUN, { event: note })), 2, 'Looks, and takes')
    const [taken] = spy.commits.at(-1)!.commits
    equal(taken!.ops.filter((op) => 'append' in op).length, 1)
    const last = (await log.load(RUN))!
    equal(last.events.map(({ kind, stepId, payload }) => [kind, stepId, payload]).at(-1), [
      'intervention.applied',
      's1',
      { id: 1, payload: 1 },
    ])
    equal(
      last.interventions.map(({ consumed }) => consumed),
      [true, false],
    )
    await log.complete(RUN, 'failed')
    for (const it of [log, stores(t).log]) {
      await rejects(it.consumeIntervention(RUN, { event: note }), 'ALREADY_COMPLETED')
    }
    equal(
      (await log.load(RUN))?.interventions.map(({ consumed }) => consumed),
      [true, false],
      'Nothing was taken',
    )
  },
)

/** If many try to consume it, one records it. */
export const recordedOnce: Case = defineCase('PE-510', 'an intervention is recorded once', async (t) => {
  const handles = several(t, 4)
  const { log } = handles[0]!
  await log.append(event('a'))
  for (const n of upTo(5)) await log.saveIntervention(RUN, { targetStep: `s${n}` })
  const note = ({ targetStep }: Intervention) => ({ kind: 'applied', stepId: targetStep })
  await atOnce(8, (i) => handles[i % 4]!.log.consumeIntervention(RUN, { event: note }))
  const { items } = await log.loadEventsAfter(RUN, 1)
  equal(new Set(items.map(({ stepId }) => stepId)), new Set(upTo(5).map((n) => `s${n}`)))
  equal(items.length, 5)
})
