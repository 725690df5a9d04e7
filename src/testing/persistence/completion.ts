/** The end of a run: it ends once, and nothing follows. @module */
import type { Completion } from '../../runs/status.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, event, losing, RUN, several, stores, verdict } from '../stores.ts'

const HOUR = 3_600_000
const COMPLETIONS: readonly Completion[] = ['completed', 'failed', 'cancelled', 'compensated']

/** It is visible, and it blocks further changes. */
export const completes: Case = defineCase('PE-301', 'a completed run takes no event and no resume', async (t) => {
  for (const completion of COMPLETIONS) {
    const [one, two] = [stores(t).log, stores(t).log]
    const runId = completion
    await one.append(event('a', { runId }))
    const result = await one.complete(runId, completion)
    equal(result, { completion, completedAt: result.completedAt, duplicate: false })
    await changesNothing(t, async () => {
      for (const log of [one, two]) {
        const error = await rejects(log.append(event('b', { runId })), 'ALREADY_COMPLETED')
        equal([error.details?.completion, error.details?.completedAt], [completion, result.completedAt])
        await rejects(log.appendBatch([event('b', { runId }), event('c', { runId })]), 'ALREADY_COMPLETED')
        await rejects(log.resume(runId, 1), 'ALREADY_COMPLETED')
      }
    })
    const trace = (await two.load(runId))!
    equal([trace.completion, trace.completedAt, trace.events.length], [completion, result.completedAt, 1])
  }
})

/** A repeat succeeds and changes nothing. */
export const again: Case = defineCase('PE-302', 'completing again in the same way is a success', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  const { completedAt } = await log.complete(RUN, 'failed')
  await t.sleep(5)
  await changesNothing(t, async () => {
    for (const it of [log, stores(t).log]) {
      equal(await it.complete(RUN, 'failed'), { completion: 'failed', completedAt, duplicate: true })
    }
  })
})

/** The first completion stays. */
export const differently: Case = defineCase('PE-303', 'completing in another way is refused', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  await log.complete(RUN, 'failed')
  await changesNothing(t, async () => {
    for (const it of [log, stores(t).log]) {
      for (const completion of ['completed', 'cancelled', 'compensated'] as const) {
        const error = await rejects(it.complete(RUN, completion, { event: { kind: 'x' } }), 'ALREADY_COMPLETED')
        equal(error.details?.completion, 'failed')
      }
    }
  })
})

/** A run begins with an event, or it does not exist. */
export const unknown: Case = defineCase('PE-304', 'an unknown run cannot be completed', async (t) => {
  const { log } = stores(t)
  await rejects(log.complete(RUN, 'completed'), 'NOT_FOUND')
  await rejects(log.complete(RUN, 'completed', { event: { kind: 'done' } }), 'NOT_FOUND')
  equal([await t.dump(), await log.exists(RUN)], [[], false])
  await log.append(event('a'))
  equal((await log.complete(RUN, 'completed')).duplicate, false)
})

/** The last event comes in the same commit. */
export const finalEvent: Case = defineCase('PE-305', 'a completion can bring the final event', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  await log.complete(RUN, 'completed', { event: { kind: 'done', payload: { total: 1n }, seq: 2 } })
  const trace = (await log.load(RUN))!
  equal(
    trace.events.map(({ seq, kind, payload }) => [seq, kind, payload]),
    [
      [1, 'a', undefined],
      [2, 'done', { total: 1n }],
    ],
  )
  equal([trace.completion, await log.getLatestSeq(RUN)], ['completed', 2])
})

/** Both or neither. */
export const finalEventRefused: Case = defineCase('PE-306', 'a refused final event leaves the run open', async (t) => {
  const { log } = stores(t)
  await log.append(event('a', { idempotencyKey: 'a' }))
  await changesNothing(t, async () => {
    for (const it of [log, stores(t).log]) {
      await rejects(it.complete(RUN, 'completed', { event: { kind: 'done', idempotencyKey: 'a' } }), 'CONFLICT')
      await rejects(it.complete(RUN, 'completed', { event: { kind: 'done', seq: 3 } }), 'CONFLICT')
      await rejects(it.complete(RUN, 'completed', { event: { kind: '' } }), 'INVALID_ARGUMENT')
      await rejects(it.complete(RUN, 'completed', { event: { kind: 'done', payload: () => 1 } }), 'SERIALIZATION')
    }
  })
  equal((await log.append(event('b'))).seq, 2)
})

/** The run ends once, with one final event, even if the answer was lost. */
export const lostAnswer: Case = defineCase(
  'PE-307',
  'a completion whose answer was lost can be repeated',
  async (t) => {
    const line = losing(t.driver)
    const { log } = stores(t, { driver: line.driver })
    await log.append(event('a'))
    for (const more of [{ kind: 'done', idempotencyKey: 'done' }, { kind: 'done' }]) {
      const runId = `with ${Object.keys(more).length}`
      await log.append(event('a', { runId }))
      line.lose()
      equal((await rejects(log.complete(runId, 'completed', { event: more }), 'UNAVAILABLE')).ambiguous, true)
      equal((await log.complete(runId, 'completed', { event: more })).duplicate, true)
      equal(await log.getLatestSeq(runId), 2)
    }
  },
)

/** One final event, and one time of completion. */
export const together: Case = defineCase('PE-308', 'of concurrent equal completions one is new', async (t) => {
  const handles = several(t, 4)
  await handles[0]!.log.append(event('a'))
  const results = await atOnce(12, (i) =>
    handles[i % 4]!.log.complete(RUN, 'completed', { event: { kind: 'done', idempotencyKey: 'done' } }),
  )
  equal(results.filter(({ duplicate }) => !duplicate).length, 1)
  equal(new Set(results.map(({ completedAt }) => completedAt)).size, 1)
  equal(await handles[0]!.log.getLatestSeq(RUN), 2)
})

/** dbos-ts #1205: one outcome. */
export const oneOutcome: Case = defineCase('PE-309', 'of concurrent different completions one wins', async (t) => {
  const handles = several(t, 4)
  await handles[0]!.log.append(event('a'))
  const verdicts = await atOnce(12, (i) =>
    verdict(handles[i % 4]!.log.complete(RUN, COMPLETIONS[i % 3]!).then(({ completion }) => completion)),
  )
  const { completion } = (await handles[0]!.log.load(RUN))!
  for (const [i, it] of verdicts.entries()) {
    equal(it, COMPLETIONS[i % 3] === completion ? completion : 'ALREADY_COMPLETED')
  }
})

/** No event comes after the end. */
export const race: Case = defineCase('PE-310', 'no event is accepted after the completion', async (t) => {
  const handles = several(t, 4)
  for (const round of upTo(3)) {
    const runId = `race ${round}`
    await handles[0]!.log.append(event('a', { runId }))
    const completing = handles[3]!.log.load(runId).then(() => handles[3]!.log.complete(runId, 'completed'))
    const appends = await atOnce(30, async (i) => {
      if (i % 2) await handles[1]!.log.exists(runId)
      return handles[i % 3]!.log.append(event(`e${i}`, { runId })).catch((error: { code: string }) => error.code)
    })
    await completing
    const trace = (await handles[3]!.log.load(runId))!
    const accepted = appends.filter((it) => typeof it === 'object')
    equal(accepted.length + appends.filter((it) => it === 'ALREADY_COMPLETED').length, 30)
    equal(trace.events.length, accepted.length + 1, 'Every accepted event is there')
    for (const { seq } of accepted) equal(trace.events[seq - 1]?.seq, seq)
    for (const { log } of handles) await rejects(log.append(event('late', { runId })), 'ALREADY_COMPLETED')
    equal(await handles[0]!.log.load(runId), trace, 'Nothing came after')
  }
})

/** `completedAt` is the backend's time. */
export const backendTime: Case = defineCase('PE-311', "a completion is dated by the backend's clock", async (t) => {
  const { now } = await t.driver.read([])
  for (const skew of [-HOUR, HOUR]) {
    const runId = `r${skew}`
    await stores(t).log.append(event('a', { runId }))
    const { completedAt } = await stores(t, { clock: () => Date.now() + skew }).log.complete(runId, 'completed')
    ok(Math.abs(completedAt - now) < HOUR / 2, `${completedAt} is near ${now}`)
  }
})

/** The final event is an event like others. */
export const finalVersion: Case = defineCase('PE-312', 'a final event names the definition version, too', async (t) => {
  const { log } = stores(t)
  await log.append(event('a', { definitionVersion: 'v1' }))
  await log.complete(RUN, 'completed', { event: { kind: 'done', definitionVersion: 'v2' } })
  const trace = (await log.load(RUN))!
  equal([trace.events.at(-1)?.definitionVersion, trace.definitionVersion], ['v2', 'v2'])
})
