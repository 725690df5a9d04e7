/** Opening at the first call, closing after the last, faults in between, and the backend's clock. @module */
import { type Database, innerOf } from '../../core/database.ts'
import { HoldfastError } from '../../core/errors.ts'
import { equal, ok, rejects } from '../assert.ts'
import { append, at, atOnce, put, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { spyOn } from '../spy.ts'

/** It opens at the first call, once. */
export const opensLazily: Case = defineCase(
  'DB-301',
  'a database opens its driver once, at the first call',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver })
    equal(spy.opens, 0)
    await Promise.all([
      ...upTo(5).map((n) => db.commit({ ops: [append('log!', String(n))] })),
      ...upTo(5).map(() => db.read([{ get: at('k') }])),
      db.open(),
      db.open(),
    ])
    await db.open()
    equal(spy.opens, 1)
  },
)

/** A failed open is not remembered. */
export const openFails: Case = defineCase('DB-302', 'after a failed open the next call tries again', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  const cause = new Error('Not yet')
  spy.fail('open', cause, new HoldfastError('UNAVAILABLE', 'Nor now', { retryable: true }))
  const [one, two] = await Promise.all([
    rejects(db.commit({ ops: [append('log!', 'a')] }), 'BACKEND'),
    rejects(db.commit({ ops: [append('log!', 'b')] }), 'BACKEND'),
  ])
  equal([one.cause, two.cause], [cause, cause])
  equal(one.ambiguous, false, 'Nothing was sent')
  equal((await rejects(db.open(), 'UNAVAILABLE')).retryable, true)
  equal(spy.commits.length, 0)
  equal(await db.commit({ ops: [append('log!', 'c')] }), { ok: true, seqs: [1] })
})

/** Every method is refused. */
export const closed: Case = defineCase('DB-303', 'calls after close are refused', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  await db.commit({ ops: [put('k', 'v')] })
  await db.close()
  await rejects(db.commit({ ops: [put('k', 'w')] }), 'CLOSED')
  await rejects(db.commitAll([]), 'CLOSED')
  await rejects(db.read([{ get: at('k') }]), 'CLOSED')
  await rejects(db.health(), 'CLOSED')
  await rejects(db.open(), 'CLOSED')
  equal([spy.commits.length, spy.reads.length, spy.opens, spy.closes], [1, 0, 1, 1])
})

/** New calls are refused at once, running ones finish. */
export const closeWaits: Case = defineCase('DB-304', 'close waits for running and queued calls', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  spy.hold()
  const calls = [db.commit({ ops: [append('log!', 'a')] }), db.read([{ get: at('k', 'acme!run!r2') }])]
  await spy.arrived(2)
  calls.push(db.commit({ ops: [append('log!', 'b')] }))
  const closing = db.close()
  await rejects(db.commit({ ops: [append('log!', 'c')] }), 'CLOSED')
  await wait(20)
  equal(spy.closes, 0, 'The driver is still needed')
  spy.release()
  equal(await Promise.all(calls), [{ ok: true, seqs: [1] }, [null], { ok: true, seqs: [2] }])
  await closing
  equal(spy.closes, 1)
})

/** An open is a call like any other. */
export const closeWaitsForOpen: Case = defineCase('DB-305', 'close waits for a running open', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  spy.hold('open')
  const opening = db.open()
  const closing = db.close()
  await wait(20)
  equal([spy.opens, spy.closes], [1, 0])
  spy.release()
  await opening
  await closing
  equal(spy.closes, 1)
})

/** `close` is idempotent. */
export const closeTwice: Case = defineCase(
  'DB-306',
  'closing again does nothing, and closes the driver once',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver })
    await db.open()
    await Promise.all([db.close(), db.close()])
    await db.close()
    equal(spy.closes, 1)
    await t.db({ driver: spyOn(t.driver).driver }).close()
  },
)

/** An application has one driver, and often a database per tenant or request. */
export const closeShared: Case = defineCase(
  'DB-316',
  'a driver shared by databases is closed with the last of them',
  async (t) => {
    const spy = spyOn(t.driver)
    const [one, other, late] = [1, 2, 3].map(() => t.db({ driver: spy.driver })) as [Database, Database, Database]
    await one.commit({ ops: [put('k', 'v')] })
    await other.open()
    await one.close()
    equal(spy.closes, 0)
    equal((await other.read([{ get: at('k') }]))[0]?.value, 'v')
    const closing = other.close()
    equal((await late.read([{ get: at('k') }]))[0]?.value, 'v', 'Opened while the driver was closing')
    await closing
    const { closes } = spy
    await late.close()
    equal([spy.opens, spy.closes], [3, closes + 1])
  },
)

/** A database that failed to open does not count as a user of the driver. */
export const closeUnopened: Case = defineCase(
  'DB-317',
  'a database whose open failed keeps no driver open',
  async (t) => {
    const spy = spyOn(t.driver)
    const [one, other] = [1, 2].map(() => t.db({ driver: spy.driver })) as [Database, Database]
    spy.fail('open', new Error('The cable was cut'))
    await rejects(other.open(), 'BACKEND')
    await one.open()
    await one.close()
    equal(spy.closes, 1)
    await other.close()
  },
)

/** A failing request does not block the close. */
export const closeAfterFault: Case = defineCase('DB-307', 'close works while a request is failing', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  spy.fail('commit', new Error('The cable was cut'))
  const lost = rejects(db.commit({ ops: [put('k', 'v')] }), 'BACKEND')
  await db.close()
  await lost
  equal(spy.closes, 1)
})

/** Errors that a driver did not map get a code. */
export const foreignErrors: Case = defineCase(
  'DB-308',
  'a foreign error is BACKEND, with the error as cause',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver })
    await db.open()
    for (const cause of [new TypeError('x is not a function'), 'a string', undefined, null]) {
      spy.fail('commit', cause)
      const commit = await rejects(db.commit({ ops: [put('k', 'v')] }), 'BACKEND')
      equal([commit.cause, commit.ambiguous], [cause, true], 'Whether it took effect is unknown')
      spy.fail('read', cause)
      const read = await rejects(db.read([{ get: at('k') }]), 'BACKEND')
      equal([read.cause, read.ambiguous], [cause, false], 'A read changes nothing')
    }
  },
)

/** Errors with a code pass unchanged. */
export const ownErrors: Case = defineCase('DB-309', 'a HoldfastError of the driver passes unchanged', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  const thrown = new HoldfastError('QUOTA_EXCEEDED', 'Full', { details: { quota: 1 } })
  spy.fail('commit', thrown)
  const found = await rejects(db.commit({ ops: [put('k', 'v')] }), 'QUOTA_EXCEEDED')
  ok(found === thrown, 'The very same error')
})

/** `health` contacts the backend. */
export const health: Case = defineCase(
  'DB-310',
  'health makes a round trip, and fails if there is no answer',
  async (t) => {
    const spy = spyOn(t.driver, { ahead: 3_600_000 })
    const db = t.db({ driver: spy.driver })
    const { latency, skew } = await db.health()
    ok(latency >= 0 && latency < 60_000, `A latency of ${latency} ms`)
    ok(Number.isFinite(skew), 'A number')
    equal(spy.reads.length + spy.commits.length, 1, 'Requests')
    spy.fail('read', new HoldfastError('UNAVAILABLE', 'Nobody there', { retryable: true }))
    await rejects(db.health(), 'UNAVAILABLE')
    await db.health()
  },
)

/** Time comes from the backend. */
export const backendTime: Case = defineCase(
  'DB-311',
  "now is the backend's clock, as its last answer told",
  async (t) => {
    const spy = spyOn(t.driver, { ahead: 3_600_000 })
    let mine = 1_000_000
    const db = t.db({ driver: spy.driver, clock: () => mine })
    const { now } = await t.driver.read([])
    await db.read([{ get: at('k') }])
    const told = db.now()
    ok(told >= now + 3_600_000 && told < now + 3_660_000, `${told} is an hour ahead of ${now}`)
    mine += 5000
    equal(db.now(), told + 5000, 'It goes on with the clock of this machine')
    equal((await db.health()).skew > 1_000_000, true)
  },
)

/** Databases share only their driver. */
export const twoDatabases: Case = defineCase(
  'DB-312',
  'two databases over one driver agree on everything',
  async (t) => {
    const [one, two] = [t.db(), t.db()]
    const outcomes = await atOnce(20, (i) =>
      (i % 2 ? one : two).commit({ checks: [{ at: at('k'), version: null }], ops: [put('k', String(i))] }),
    )
    equal(outcomes.filter((outcome) => outcome.ok).length, 1)
    const [[mine], [theirs]] = await Promise.all([one.read([{ get: at('k') }]), two.read([{ get: at('k') }])])
    equal(mine, theirs)
  },
)

/** Work of several requests is one call. */
export const closeWaitsForHeld: Case = defineCase('DB-313', 'close waits for held work', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  let goOn: (() => void) | undefined
  const question = new Promise<void>((resolve) => (goOn = resolve))
  const inside = innerOf(db)
  const work = inside.hold(async (held) => {
    const first = await held.commit({ ops: [append('log!', 'a')] })
    await question
    return [first, await held.hold((inner) => inner.commit({ ops: [append('log!', 'b')] }))]
  })
  const failing = rejects(
    inside.hold(() => Promise.reject(new HoldfastError('CONFLICT', 'Mine'))),
    'CONFLICT',
  )
  await spy.arrived(1)
  const closing = db.close()
  await failing
  await rejects(
    inside.hold(() => Promise.resolve()),
    'CLOSED',
  )
  await wait(20)
  equal(spy.closes, 0)
  goOn?.()
  equal(await work, [
    { ok: true, seqs: [1] },
    { ok: true, seqs: [2] },
  ])
  await closing
  equal(spy.closes, 1)
})

/** A backend that does not answer does not block a close that waits for nothing. */
export const closeWhileOpening: Case = defineCase(
  'DB-314',
  'close does not wait for a connection that no call needs any more',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver })
    spy.hold('open')
    const controller = new AbortController()
    const { signal } = controller
    const calls = [db.open({ signal }), db.commit({ ops: [put('k', 'v')] }, { signal }), db.read([], { signal })]
    await wait(20)
    controller.abort()
    for (const call of calls) equal((await rejects(call, 'ABORTED')).ambiguous, false, 'Nothing was sent')
    equal(await Promise.race([db.close().then(() => 'closed'), wait(2000)]), 'closed')
    spy.release()
    equal(spy.commits.length, 0)
  },
)

/** Immediate answers must not starve other work. */
export const eventLoopTurns: Case = defineCase('DB-315', 'timers fire during a loop of awaited calls', async (t) => {
  const db = t.db()
  const calls = [
    () => db.read([{ get: at('k') }]),
    () => db.commit({ ops: [put('k', 'v')] }, { durability: 'relaxed' }),
  ]
  for (const call of calls) {
    const timer = { hasFired: false }
    setTimeout(() => (timer.hasFired = true), 1)
    const deadline = Date.now() + 5000
    while (!timer.hasFired && Date.now() < deadline) await call()
    ok(timer.hasFired, 'The timer fired')
  }
})
