/** Back pressure and timeouts: queues are bounded, and no call waits for ever. @module */
import { HoldfastError } from '../../core/errors.ts'
import { equal, ok, rejects } from '../assert.ts'
import { append, at, put, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { spyOn } from '../spy.ts'

/** An unbounded queue would use up the memory. */
export const tooManyCalls: Case = defineCase(
  'DB-801',
  'calls beyond the queue limit are refused as OVERLOADED, and the others succeed',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver, maxQueuedCalls: 10 })
    await db.open()
    spy.hold()
    const under = db.commit({ ops: [append('log!', '0')] })
    await spy.arrived(1)
    const calls = upTo(10).map((n) => db.commit({ ops: [append('log!', String(n))] }))
    for (let n = 0; n < 3; n++) {
      const error = await rejects(db.commit({ ops: [append('log!', 'never')] }), 'OVERLOADED')
      equal([error.retryable, error.ambiguous], [true, false])
    }
    const reads = upTo(10).map((n) => db.read([{ get: at('k', `acme!run!x${n}`) }]))
    spy.release()
    for (const call of [under, ...calls]) equal((await call).ok, true)
    await Promise.all(reads)
    equal(await db.commit({ ops: [append('log!', '11')] }), { ok: true, seqs: [12] })
  },
)

/** The same by size. */
export const tooManyBytes: Case = defineCase(
  'DB-802',
  'bytes beyond the queue limit are refused as OVERLOADED; a single call is not',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver, maxQueuedBytes: 5000 })
    await db.open()
    spy.hold()
    const under = db.commit({ ops: [put('a', 'x')] })
    await spy.arrived(1)
    const first = db.commit({ ops: [put('b', 'x'.repeat(8000))] })
    await rejects(db.commit({ ops: [put('c', 'x'.repeat(8000))] }), 'OVERLOADED')
    const controller = new AbortController()
    spy.release()
    await Promise.all([under, first])
    spy.hold()
    const again = db.commit({ ops: [put('d', 'x')] })
    await spy.arrived(3)
    const leaving = db.commit({ ops: [put('e', 'x'.repeat(4900))] }, { signal: controller.signal })
    controller.abort()
    await rejects(leaving, 'ABORTED')
    const room = db.commit({ ops: [put('f', 'x'.repeat(4000))] })
    spy.release()
    await Promise.all([again, room])
    equal(await t.keys(), ['a', 'b', 'd', 'f'])
  },
)

/** A call made at the moment of the failure found an unopened driver. */
export const failedOpen: Case = defineCase('DB-803', 'after a failed open every call tries for itself', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  const gone = (): HoldfastError => new HoldfastError('UNAVAILABLE', 'Nobody there', { retryable: true })
  spy.fail('open', gone(), gone(), gone())
  const call = (): Promise<unknown> => db.commit({ ops: [put('k', 'v')] })
  const first = call()
  // Made in the microtask that learns of the failure, and some later.
  const late = [0, 1, 2, 3, 5, 8].map((ticks) =>
    first.catch(async () => {
      for (let n = 0; n < ticks; n++) await Promise.resolve()
      return call()
    }),
  )
  await rejects(first, 'UNAVAILABLE')
  for (const outcome of await Promise.allSettled(late)) {
    const code = outcome.status === 'rejected' ? (outcome.reason as HoldfastError).code : 'OK'
    ok(code === 'UNAVAILABLE' || code === 'OK', `An honest answer, not ${code}`)
  }
  await Promise.allSettled([call(), call()])
  equal(await call(), { ok: true, seqs: [] })
})

/** Repeats a call until it is answered in time. On a slow machine, the calls that were held take longer than the timeout. */
async function whenFree<T>(call: () => Promise<T>): Promise<T> {
  for (let left = 50; ; left--) {
    try {
      return await call()
    } catch (error) {
      const isLate = error instanceof HoldfastError && ['UNAVAILABLE', 'TIMEOUT'].includes(error.code)
      if (!isLate || left === 0) throw error
    }
  }
}

/** Over a slowly failing backend, each batch waited its full time again. */
export const waitCounts: Case = defineCase(
  'DB-804',
  'the timeout of a call includes its time in the queue',
  async (t) => {
    const spy = spyOn(t.driver, { timeout: 200 })
    const db = t.db({ driver: spy.driver })
    await db.open()
    spy.hold()
    const under = db.commit({ ops: [put('a', 'x')] })
    await spy.arrived(1)
    const waiting = upTo(3).map((n) => db.commit({ ops: [put(`b${n}`, 'x')] }))
    for (const call of waiting) {
      const error = await rejects(call, 'UNAVAILABLE')
      equal([error.retryable, error.ambiguous], [true, false], 'Never sent')
    }
    const error = await rejects(under, 'TIMEOUT')
    equal([error.retryable, error.ambiguous], [true, true], 'Sent, and not answered')
    equal(spy.signals[0]?.aborted, true, 'The driver is told that nobody waits')
    const read = db.read([{ get: at('k', 'acme!run!r2') }])
    equal((await rejects(read, 'TIMEOUT')).ambiguous, false)
    spy.release()
    equal(await whenFree(() => db.commit({ ops: [put('c', 'x')] })), { ok: true, seqs: [] })
    ok(!(await t.keys()).some((key) => key.startsWith('b')), 'What was given up is not sent later')
  },
)

/** A read waited for a commit without an end, and then took its full time again. */
export const waitForCommitsCounts: Case = defineCase(
  'DB-805',
  'the timeout of a read includes its wait for commits',
  async (t) => {
    const spy = spyOn(t.driver, { timeout: 200 })
    const db = t.db({ driver: spy.driver })
    await db.open()
    spy.hold()
    const under = db.commit({ ops: [put('a', 'x')] })
    const read = db.read([{ get: at('a') }])
    await spy.arrived(1)
    const error = await rejects(read, 'UNAVAILABLE')
    equal([error.retryable, error.ambiguous], [true, false], 'Never sent')
    equal(spy.reads.length, 0)
    await rejects(under, 'TIMEOUT')
    spy.release()
    equal((await whenFree(() => db.commit({ ops: [put('c', 'x')] }))).ok, true)
    equal((await whenFree(() => db.read([{ get: at('c') }])))[0]?.value, 'x')
  },
)
