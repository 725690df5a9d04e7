/** The resume cursor. @module */
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { HoldfastError } from '../../core/errors.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, event, leavingOut, RUN, several, spied, stores, WORKFLOW } from '../stores.ts'

/** Resuming from 3 goes on at 4, and a later load shows it. */
export const cursor: Case = defineCase('PE-401', 'resume records where a run goes on', async (t) => {
  const { log } = stores(t)
  await log.appendBatch(upTo(3).map((n) => event(`e${n}`, { payload: n })))
  const { items } = await log.loadEvents(RUN)
  equal(await log.resume(RUN, 3), { runId: RUN, nextSeq: 4, attempt: 1, anchor: items[2], gap: false })
  equal((await stores(t).log.load(RUN))?.resumedFromSeq, 3)
  equal((await log.append(event('e4'))).seq, 4, 'The log goes on as before')
})

/** Ranvier did not check this. */
export const gap: Case = defineCase('PE-402', 'resuming from a seq without an event is a gap', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  const most = Number.MAX_SAFE_INTEGER
  equal(await log.resume(RUN, 2), { runId: RUN, nextSeq: 3, attempt: 1, gap: true })
  equal(await log.resume(RUN, most), { runId: RUN, nextSeq: most, attempt: 2, gap: true }, 'Saturates')
  equal((await log.load(RUN))?.resumedFromSeq, most)
})

/** From the start. */
export const fromStart: Case = defineCase('PE-403', 'resuming from 0 begins again, and is no gap', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  equal(await log.resume(RUN, 0), { runId: RUN, nextSeq: 1, attempt: 1, gap: false })
  equal((await log.load(RUN))?.resumedFromSeq, 0)
})

/** The last call wins, and each is counted. */
export const attempts: Case = defineCase('PE-404', 'every resume is an attempt, and the last one counts', async (t) => {
  const [one, two] = [stores(t).log, stores(t).log]
  await one.appendBatch([event('a'), event('b')])
  equal((await one.resume(RUN, 2)).attempt, 1)
  equal((await two.resume(RUN, 1)).attempt, 2)
  const third = await one.resume(RUN, 2)
  equal([third.attempt, third.anchor?.kind], [3, 'b'])
  equal((await two.load(RUN))?.resumedFromSeq, 2)
})

/** Mastra #20443: two resumes are distinguishable. */
export const together: Case = defineCase('PE-405', 'concurrent resumes get attempts of their own', async (t) => {
  const handles = several(t, 4)
  await handles[0]!.log.append(event('a'))
  const cursors = await atOnce(16, (i) => handles[i % 4]!.log.resume(RUN, 1))
  equal(
    cursors.map(({ attempt }) => attempt).toSorted((a, b) => a - b),
    upTo(16),
  )
  ok(
    cursors.every(({ anchor }) => anchor?.kind === 'a'),
    'Each has the anchor',
  )
})

/** There must be a run to resume. */
export const unknown: Case = defineCase('PE-406', 'an unknown run cannot be resumed', async (t) => {
  const { log } = stores(t)
  await rejects(log.resume(RUN, 0), 'NOT_FOUND')
  equal([await t.dump(), await log.exists(RUN)], [[], false])
})

export const ended: Case = defineCase('PE-407', 'an ended run cannot be resumed', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  await log.resume(RUN, 1)
  await log.complete(RUN, 'cancelled')
  await changesNothing(t, async () => {
    for (const it of [log, stores(t).log]) {
      equal((await rejects(it.resume(RUN, 0), 'ALREADY_COMPLETED')).details?.completion, 'cancelled')
    }
  })
  equal((await log.load(RUN))?.resumedFromSeq, 1)
})

export const wholeLife: Case = defineCase(
  'PE-408',
  'a run is appended to, resumed, completed, and loaded',
  async (t) => {
    for (const completion of ['compensated', 'failed'] as const) {
      const { log } = stores(t)
      const of = { runId: completion }
      await log.append(event('enter', { ...of, seq: 1 }))
      await log.append(event('next', { ...of, seq: 2 }))
      equal((await log.resume(completion, 2)).nextSeq, 3)
      await log.complete(completion, completion)
      await rejects(log.resume(completion, 2), 'ALREADY_COMPLETED')
      const trace = (await stores(t).log.load(completion))!
      equal([trace.runId, trace.workflow, trace.events.length], [completion, WORKFLOW, 2])
      equal([trace.resumedFromSeq, trace.completion], [2, completion])
    }
  },
)

/** The log shows who resumed the run. A refused resume leaves no event. */
export const onRecord: Case = defineCase('PE-409', 'a resume is recorded in the log in the same commit', async (t) => {
  const { log, cost } = spied(t)
  await log.append(event('a'))
  const note = { kind: 'operator.resumed', payload: { by: 'ada' } }
  equal(await cost(() => log.resume(RUN, 1, { event: note })), 1)
  const [, recorded] = (await log.load(RUN))!.events
  equal([recorded?.kind, recorded?.payload, recorded?.seq], ['operator.resumed', { by: 'ada' }, 2])
  await log.complete(RUN, 'completed')
  await rejects(log.resume(RUN, 1, { event: note }), 'ALREADY_COMPLETED')
  equal(await log.getLatestSeq(RUN), 2)
})

/** The resume was recorded, but the error of a later read said that nothing had happened. */
export const afterwards: Case = defineCase(
  'PE-410',
  'if the event to resume from cannot be read after the commit, the error is ambiguous',
  async (t) => {
    await stores(t).log.appendBatch([event('a'), event('b')])
    const { log, spy } = spied(t, {}, leavingOut(t.driver))
    equal((await log.resume(RUN, 0)).attempt, 1)
    spy.fail('read', new HoldfastError('UNAVAILABLE', 'Not now', { retryable: true }))
    const error = await rejects(log.resume(RUN, 1), 'UNAVAILABLE')
    equal([error.retryable, error.ambiguous], [true, true])
    equal((await log.resume(RUN, 1)).attempt, 3, 'It has taken effect')
  },
)
