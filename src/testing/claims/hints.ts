/** Hints and waiting: faster than polling, and never required. @module */
import type { TaskWakeupHint } from '../../runs/hints.ts'
import { decodeHint, encodeHint } from '../../runs/hints.ts'
import { equal, ok, rejects } from '../assert.ts'
import { type Case, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { BAD_IDS, ODD_IDS, RUN, deaf, soon, spied, stores } from '../stores.ts'
import { begin, change, LEASE, offers, STEP, take, WORKER } from './runs.ts'

const HINT: TaskWakeupHint = { runId: RUN, stepId: STEP }
const worker = { workerId: WORKER }

export const roundTrip: Case = defineCase('CL-401', 'a hint is read back as it was written', async () => {
  const hints: TaskWakeupHint[] = [
    HINT,
    { ...HINT, tags: [] },
    { ...HINT, definitionHash: 'abc', tags: ['gpu', 'eu'] },
    ...ODD_IDS.map((id) => ({ runId: id, stepId: id, definitionHash: id })),
    { runId: '\0'.repeat(256), stepId: '\0'.repeat(256), definitionHash: '\0'.repeat(256), tags: ['x'.repeat(200)] },
  ]
  for (const hint of hints) {
    const text = encodeHint(hint)
    ok(/^h1\.[\w-]+$/.test(text) && text.length <= 16_384, 'It can go through any channel')
    equal(decodeHint(text), hint)
  }
})

/** A hint that cannot be read is a missed wake-up. */
export const garbage: Case = defineCase('CL-402', 'a text that is not a hint is ignored without an error', async () => {
  const text = encodeHint(HINT)
  const written = (value: unknown): string => `h1.${btoa(JSON.stringify(value))}`
  equal(decodeHint(written(HINT)), HINT)
  for (const broken of [
    ...['', 'h1.', 'h1', 'garbage', 'null', '{}', '😀', '\0', text.slice(3), text.slice(0, -9), `${text}!`, ` ${text}`],
    ...[text.replace('h1.', 'h2.'), text.replace('h1.', 'h0.'), `h1.${'A'.repeat(100_000)}`, 'h1.____', 'h1.😀'],
    ...[null, 5, 'x', [], {}, { runId: RUN }, { stepId: STEP }, { ...HINT, tags: 'gpu' }, { ...HINT, tags: [5] }].map(
      written,
    ),
    ...[
      { ...HINT, runId: '' },
      { ...HINT, stepId: 5 },
      { ...HINT, definitionHash: {} },
    ].map(written),
    ...([undefined, null, 5, {}, [], new Uint8Array(3)] as never[]),
  ]) {
    equal(decodeHint(broken), undefined)
  }
  // Members that a later release adds do not invalidate a hint.
  equal(decodeHint(written({ ...HINT, urgent: true })), HINT)
})

/** The writer of a malformed hint gets an error. */
export const malformed: Case = defineCase('CL-403', 'a hint with malformed ids cannot be written', async (t) => {
  const { claims } = stores(t)
  const refused = async (hint: unknown): Promise<void> => {
    for (const call of [encodeHint, claims.wake]) {
      await rejects((async () => call(hint as TaskWakeupHint))(), 'INVALID_ARGUMENT')
    }
    await rejects(claims.findHintedTask(hint as TaskWakeupHint, worker), 'INVALID_ARGUMENT')
  }
  for (const id of BAD_IDS) {
    await refused({ ...HINT, runId: id })
    await refused({ ...HINT, stepId: id })
    if (id !== undefined) await refused({ ...HINT, definitionHash: id })
    await refused({ ...HINT, tags: [id] })
  }
})

export const hinted: Case = defineCase('CL-404', 'a hint finds the step that it names', async (t) => {
  const s = stores(t)
  await begin(t, s, RUN, { definitionHash: 'abc', tags: ['gpu'] })
  const [offer] = await offers(s)
  equal(await s.claims.findHintedTask(HINT, worker), offer)
  equal(await s.claims.findHintedTask({ ...HINT, definitionHash: 'abc', tags: ['gpu'] }, worker), offer)
  equal(await stores(t).claims.findHintedTask(HINT, { ...worker, tags: ['gpu', 'eu'] }), offer)
  equal(decodeHint(encodeHint(offer as TaskWakeupHint)), { ...HINT, definitionHash: 'abc', tags: ['gpu'] })
  equal(await s.claims.getClaim(RUN, { stepId: STEP }), undefined, 'Nothing is claimed')
})

/** Nothing if it is outdated, claimed or has a signal, nor without the tags. */
export const stale: Case = defineCase('CL-405', 'an outdated hint finds nothing', async (t) => {
  const s = stores(t)
  const find = (hint: Partial<TaskWakeupHint> = {}, tags?: string[]): Promise<unknown> =>
    s.claims.findHintedTask({ ...HINT, ...hint }, { ...worker, tags })
  equal(await find(), undefined, 'No run')
  await begin(t, s, RUN, { definitionHash: 'abc', tags: ['gpu'] })
  ok(await find(), 'It is there')
  equal(await find({ stepId: 'other' }), undefined)
  equal(await find({ definitionHash: 'other' }), undefined)
  equal(await find({}, ['eu']), undefined)
  equal(await find({ tags: ['gpu'] }, ['eu']), undefined)
  for (const stepId of [STEP, undefined]) {
    const claim = await take(s, { stepId, ttl: 60_000 })
    equal(await find(), undefined, 'Claimed')
    await s.claims.releaseTaskClaim(claim)
  }
  await change(s, t, RUN, { signals: { pause: { requestedAt: s.db.now() } } })
  equal(await find(), undefined, 'To be stopped')
  await change(s, t, RUN, { signals: {}, retries: { [STEP]: { attempts: 1, nextRetryAt: s.db.now() + 60_000 } } })
  equal(await find(), undefined, 'Too early')
  await change(s, t, RUN, { retries: {} })
  ok(await find(), 'It is there again')
  await s.log.complete(RUN, 'failed')
  equal(await find(), undefined, 'It has ended')
})

export const timeout: Case = defineCase('CL-406', 'waiting ends with the timeout, or with work', async (t) => {
  const s = stores(t)
  equal(await s.claims.waitForWakeup({ ...worker, timeout: 0 }), undefined)
  equal(await soon(s.claims.waitForWakeup({ ...worker, timeout: 60, pollInterval: 10 })), undefined)
  await begin(t, s, RUN, { tags: ['gpu'] })
  equal((await s.claims.waitForWakeup({ ...worker, timeout: 0 }))?.runId, RUN)
  equal((await s.claims.waitForWakeup({ ...worker, timeout: 60_000 }))?.runId, RUN)
  equal(await s.claims.waitForWakeup({ ...worker, tags: ['eu'], timeout: 0 }), undefined)
})

/** Polling must suffice, and a step is found in time. */
export const polling: Case = defineCase('CL-407', 'a waiting worker finds work, announced or not', async (t) => {
  const [a, b] = [stores(t), stores(t, { driver: deaf(t.driver) })]
  const found = b.claims.waitForWakeup({ ...worker, timeout: 60_000, pollInterval: 20 })
  await wait(30)
  await begin(t, a)
  equal((await soon(found))?.runId, RUN)
  // Even a claim that expires silently.
  await take(a, { ttl: LEASE })
  const next = b.claims.waitForWakeup({ ...worker, timeout: 60_000, pollInterval: 20 })
  await wait(30)
  await t.sleep(LEASE + 50)
  equal((await soon(next))?.runId, RUN)
})

/** The decoded hint is delivered. */
export const woken: Case = defineCase('CL-408', 'a waiting worker can be woken, with or without a hint', async (t) => {
  const [a, b] = [stores(t), stores(t, { driver: deaf(t.driver) })]
  const waiting = { ...worker, timeout: 600_000, pollInterval: 1e9 }
  const first = b.claims.waitForWakeup(waiting)
  await wait(30)
  await begin(t, a, 'first', { priority: 1 })
  b.claims.wake()
  equal((await soon(first))?.runId, 'first')
  await take(a, { runId: 'first' })
  const second = b.claims.waitForWakeup(waiting)
  await wait(30)
  await begin(t, a, 'urgent', { priority: 1 })
  await begin(t, a, 'named', { priority: 5 })
  b.claims.wake({ runId: 'named', stepId: STEP })
  equal((await soon(second))?.runId, 'named')
})

/** A false wake-up does not end the wait, and one during a search is not lost. */
export const wakeups: Case = defineCase('CL-409', 'a wake-up is checked, and never lost', async (t) => {
  const a = stores(t)
  const { spy, ...b } = spied(t, {}, deaf(t.driver))
  b.claims.wake(HINT)
  const found = b.claims.waitForWakeup({ ...worker, timeout: 600_000, pollInterval: 1e9 })
  await wait(30)
  b.claims.wake({ runId: 'none', stepId: 'none' })
  await wait(30)
  spy.hold()
  const looks = spy.reads.length
  b.claims.wake()
  await spy.arrived(spy.commits.length + looks + 1)
  await begin(t, a)
  // The search under way may be too early, so this must cause another one.
  b.claims.wake()
  spy.release()
  equal((await soon(found))?.runId, RUN)
})

/** No worker waits for ever. */
export const aborted: Case = defineCase('CL-410', 'waiting for work can be aborted at any time', async (t) => {
  const { claims } = stores(t)
  const stop = new AbortController()
  const waiting = claims.waitForWakeup({ ...worker, timeout: 600_000, pollInterval: 1e9, signal: stop.signal })
  await wait(30)
  stop.abort(new Error('Enough'))
  equal((await rejects(soon(waiting), 'ABORTED')).ambiguous, false)
  await rejects(claims.waitForWakeup({ ...worker, timeout: 0, signal: stop.signal }), 'ABORTED')
})

/** The close ends waiting calls, and waits for none. */
export const closed: Case = defineCase('CL-411', 'a close ends waiting calls without waiting for them', async (t) => {
  const { db, claims } = stores(t)
  const waiting = claims.waitForWakeup({ ...worker, timeout: 600_000, pollInterval: 50 })
  const long = claims.waitForWakeup({ ...worker, timeout: 600_000, pollInterval: 1e9 })
  const refused = Promise.all([rejects(waiting, 'CLOSED'), rejects(long, 'CLOSED')])
  await wait(30)
  await soon(db.close())
  claims.wake()
  await soon(refused)
})
