/** Calls in one batch are independent: none fails because of another. @module */
import type { CommitRequest, Driver, Read } from '../../core/driver.ts'
import { type ErrorCode, HoldfastError } from '../../core/errors.ts'
import { equal, rejects } from '../assert.ts'
import { absent, append, at, atOnce, ends, put, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { spyOn } from '../spy.ts'

/** A driver that refuses some requests before it sends anything. */
function refusing(
  driver: Driver,
  error: HoldfastError,
  isRefused: (request: CommitRequest | readonly Read[]) => boolean,
): Driver {
  const guard = (request: CommitRequest | readonly Read[]): void => {
    if (isRefused(request)) throw error
  }
  return {
    ...driver,
    async commit(request, options) {
      guard(request)
      return driver.commit(request, options)
    },
    async read(reads, options) {
      guard(reads)
      return driver.read(reads, options)
    },
  }
}

/**
 * The size on the wire is known only when the request is built: several hundred writes of 9 kB were refused together.
 */
export const cutForSize: Case = defineCase(
  'DB-701',
  'a batch too large for the driver is split between calls, in order',
  async (t) => {
    const spy = spyOn(t.driver)
    const tooLarge = new HoldfastError('PAYLOAD_TOO_LARGE', 'Too large')
    const driver = refusing(spy.driver, tooLarge, (it) => ('commits' in it ? it.commits.length > 3 : it.length > 3))
    const db = t.db({ driver })
    const outcomes = await atOnce(20, (i) => db.commit({ ops: [append('log!', String(i))] }))
    equal(
      outcomes,
      upTo(20).map((seq) => ({ ok: true, seqs: [seq] })),
    )
    equal(new Set(spy.commits.map(({ id }) => id)).size, spy.commits.length, 'Each part has an id of its own')
    const values = await atOnce(20, (i) => db.read([{ get: at(`log!${String(i + 1).padStart(16, '0')}`) }]))
    equal(
      values.map(([entry]) => entry?.value),
      upTo(20).map((n) => String(n - 1)),
    )
    const drafts = upTo(4).map(() => ({ ops: [append('log!', 'x')] }))
    await rejects(db.commitAll(drafts), 'PAYLOAD_TOO_LARGE')
    equal((await t.all({ start: 'log!', end: 'log"' })).length, 20, 'A call is never cut')
  },
)

/** A value over the quota made a small write beside it fail. */
export const ownFault: Case = defineCase(
  'DB-702',
  'only the call that the backend refuses fails, not its whole batch',
  async (t) => {
    const codes: readonly ErrorCode[] = ['QUOTA_EXCEEDED', 'INVALID_ARGUMENT', 'PAYLOAD_TOO_LARGE', 'SERIALIZATION']
    for (const code of codes) {
      const speaksOfBad = (it: CommitRequest | readonly Read[]): boolean => JSON.stringify(it).includes('bad')
      const db = t.db({ driver: refusing(t.driver, new HoldfastError(code, 'Not this one'), speaksOfBad) })
      const calls = upTo(12).map((n) => db.commit({ ops: [put(n % 5 ? `${code} ${n}` : `bad ${n}`, 'v')] }))
      for (const [i, call] of calls.entries()) {
        if ((i + 1) % 5) equal((await call).ok, true)
        else equal((await rejects(call, code)).ambiguous, false)
      }
      const reads = upTo(12).map((n) => db.read([{ get: at(n % 5 ? `${code} ${n}` : `bad ${n}`) }]))
      for (const [i, read] of reads.entries()) {
        if ((i + 1) % 5) equal((await read)[0]?.value, 'v')
        else await rejects(read, code)
      }
    }
  },
)

/** A batch that may have taken effect is never sent again in parts. */
export const neverTwice: Case = defineCase(
  'DB-703',
  'a batch with an unknown outcome, or refused as a whole, is not split',
  async (t) => {
    for (const error of [
      new HoldfastError('QUOTA_EXCEEDED', 'Perhaps', { ambiguous: true }),
      new HoldfastError('UNAUTHORIZED', 'Nobody'),
      new HoldfastError('UNAVAILABLE', 'Not now', { retryable: true }),
    ]) {
      const spy = spyOn(t.driver)
      const db = t.db({ driver: spy.driver })
      spy.fail('commit', error)
      const calls = upTo(8).map((n) => db.commit({ ops: [put(`k${n}`, 'v')] }))
      for (const call of calls) await rejects(call, error.code)
      equal(spy.commits.length, 1)
    }
    equal(await t.all(), [])
  },
)

/** With a real driver: a foreign key under one log does not affect other logs. */
export const foreignKey: Case = defineCase(
  'DB-704',
  'an append to a log with a foreign key under it fails alone',
  async (t) => {
    await t.write(put('bad!x', 'foreign'))
    const db = t.db()
    const calls = upTo(9).map((n) => db.commit({ ops: [append(n % 3 ? 'log!' : 'bad!', String(n))] }))
    const seqs: number[] = []
    for (const [i, call] of calls.entries()) {
      if ((i + 1) % 3 === 0) await rejects(call, 'INVALID_ARGUMENT')
      else {
        const outcome = await call
        seqs.push(...(outcome.ok ? outcome.seqs : []))
      }
    }
    equal(seqs, upTo(6))
  },
)

/** A commit that checked one key a thousand times got an answer of a thousand values. */
export const checkedOnce: Case = defineCase(
  'DB-705',
  'a commit that checks a key twice is refused alone',
  async (t) => {
    const db = t.db()
    const neighbour = db.commit({ ops: [put('k', 'v')] })
    for (const checks of [
      [absent('a'), absent('a')],
      [absent('a'), { at: at('a'), version: 'x' }],
      [ends('log!', 0), absent('a'), ends('log!', 1)],
    ]) {
      await rejects(db.commit({ checks, ops: [put('never', 'v')] }), 'INVALID_ARGUMENT')
    }
    equal((await neighbour).ok, true)
    const both = [absent('log!'), ends('log!', 0), absent(at('log!', 'acme!run!r2'))]
    await rejects(db.commit({ checks: both, ops: [] }), 'INVALID_ARGUMENT')
    equal(await db.commit({ checks: [absent('a'), absent(at('a', 'acme!run!r2'))], ops: [] }), { ok: true, seqs: [] })
  },
)
