/** Aborting: a signal stops the waiting, and the error says whether anything may have happened. @module */
import { equal, ok, rejects } from '../assert.ts'
import { append, at, put } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { spyOn } from '../spy.ts'

/** Aborted before it began: certainly nothing happened. */
export const abortedBefore: Case = defineCase('DB-201', 'a call with an aborted signal does no I/O', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  const reason = new Error('Changed my mind')
  const signal = AbortSignal.abort(reason)
  const calls = [
    () => db.commit({ ops: [put('k', 'v')] }, { signal }),
    () => db.commitAll([], { signal }),
    () => db.read([{ get: at('k') }], { signal }),
    () => db.open({ signal }),
    () => db.health({ signal }),
  ]
  for (const call of calls) {
    const error = await rejects(call(), 'ABORTED')
    equal([error.ambiguous, error.cause], [false, reason])
  }
  equal([spy.commits.length, spy.reads.length, spy.opens], [0, 0, 0])
})

/** Aborted while it waited for its turn: certainly nothing happened. */
export const abortedQueued: Case = defineCase('DB-202', 'a call aborted in the queue writes nothing', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  spy.hold()
  const controller = new AbortController()
  const first = db.commit({ ops: [append('log!', 'first')] })
  await spy.arrived(1)
  const queued = db.commit({ ops: [append('log!', 'never')] }, { signal: controller.signal })
  const last = db.commit({ ops: [append('log!', 'last')] })
  controller.abort()
  equal((await rejects(queued, 'ABORTED')).ambiguous, false)
  spy.release()
  equal(await Promise.all([first, last]), [
    { ok: true, seqs: [1] },
    { ok: true, seqs: [2] },
  ])
  equal(
    (await t.all({ start: 'log!', end: 'log"' })).map((entry) => entry.value),
    ['first', 'last'],
  )
})

/** Aborted under way: the outcome is unknown, and the error says so. */
export const abortedInFlight: Case = defineCase(
  'DB-203',
  'a commit aborted in flight is ambiguous; its neighbours get their answers',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver })
    spy.hold()
    const controller = new AbortController()
    const mine = db.commit({ ops: [append('log!', 'mine')] }, { signal: controller.signal })
    const theirs = db.commit({ ops: [append('log!', 'theirs')] })
    await spy.arrived(1)
    controller.abort()
    equal((await rejects(mine, 'ABORTED')).ambiguous, true)
    ok(spy.signals[0]?.aborted !== true, 'The request goes on for the others')
    spy.release()
    equal((await theirs).ok, true)
  },
)

/** No caller waits any more, so the driver may stop, too. */
export const allAborted: Case = defineCase(
  'DB-204',
  'the driver is aborted when every caller of a batch has aborted',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver })
    spy.hold()
    const [one, two] = [new AbortController(), new AbortController()]
    const calls = [one, two].map(({ signal }) => db.commit({ ops: [append('log!', 'x')] }, { signal }))
    await spy.arrived(1)
    const signal = spy.signals[0]
    ok(signal !== undefined, 'The driver got a signal')
    one.abort()
    await rejects(calls[0]!, 'ABORTED')
    equal(signal.aborted, false)
    two.abort()
    await rejects(calls[1]!, 'ABORTED')
    equal(signal.aborted, true)
    spy.release()
    await db.commit({ ops: [append('log!', 'y')] })
  },
)

/** A read changes nothing: it cannot be ambiguous. */
export const abortedRead: Case = defineCase('DB-205', 'a read aborted in flight is not ambiguous', async (t) => {
  await t.write(put('k', 'v'))
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  spy.hold()
  const controller = new AbortController()
  const mine = db.read([{ get: at('k') }], { signal: controller.signal })
  const theirs = db.read([{ get: at('k') }])
  await spy.arrived(1)
  controller.abort()
  equal((await rejects(mine, 'ABORTED')).ambiguous, false)
  spy.release()
  equal((await theirs)[0]?.value, 'v')
})

/** An abort that comes too late has no effect. */
export const abortedAfter: Case = defineCase('DB-206', 'an abort after the answer changes nothing', async (t) => {
  const db = t.db()
  const controller = new AbortController()
  const { signal } = controller
  equal(await db.commit({ ops: [put('k', 'v')] }, { signal }), { ok: true, seqs: [] })
  equal((await db.read([{ get: at('k') }], { signal }))[0]?.value, 'v')
  controller.abort()
  await rejects(db.read([{ get: at('k') }], { signal }), 'ABORTED')
  equal((await db.read([{ get: at('k') }]))[0]?.value, 'v')
})

/** Opening may take long: waiting for it can be stopped, while others go on waiting. */
export const abortedOpen: Case = defineCase(
  'DB-207',
  'an open aborted under way stops waiting for this caller only',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver })
    spy.hold('open')
    const controller = new AbortController()
    const mine = db.open({ signal: controller.signal })
    const theirs = db.open()
    controller.abort()
    const stopped = mine.then(
      () => undefined,
      () => 'stopped',
    )
    const first = await Promise.race([stopped, wait(200)])
    spy.release()
    equal(first, 'stopped', 'The caller does not wait for the backend')
    equal((await rejects(mine, 'ABORTED')).ambiguous, false)
    await theirs
  },
)

/** A value that is not a signal could never abort a call. */
export const notASignal: Case = defineCase('DB-208', 'a malformed signal is refused before any I/O', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  for (const signal of [{}, 'abort', 1, null] as unknown as AbortSignal[]) {
    await rejects(db.commit({ ops: [put('k', 'v')] }, { signal }), 'INVALID_ARGUMENT')
    await rejects(db.read([{ get: at('k') }], { signal }), 'INVALID_ARGUMENT')
    await rejects(db.open({ signal }), 'INVALID_ARGUMENT')
  }
  equal([spy.commits.length, spy.reads.length, spy.opens], [0, 0, 0])
})
