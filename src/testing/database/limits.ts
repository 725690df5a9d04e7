/** Validation before any I/O: a driver never gets a request over its limits. @module */
import type { Draft } from '../../core/database.ts'
import type { Commit, Op } from '../../core/driver.ts'
import { equal, ok, rejects } from '../assert.ts'
import { absent, ALL, append, at, atOnce, ends, PART, put, remove, removePart, removeRange, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { spyOn } from '../spy.ts'

const encoder = new TextEncoder()

const sizeOf = (text: string | Uint8Array): number =>
  typeof text === 'string' ? encoder.encode(text).length : text.length

/** The size that `Limits.requestBytes` limits: keys, versions and values. */
function bytesOf(commits: readonly Commit[]): number {
  let bytes = 0
  const count = (...texts: readonly (string | Uint8Array | undefined | null)[]): void => {
    for (const text of texts) if (text !== undefined && text !== null) bytes += sizeOf(text)
  }
  for (const { checks, ops } of commits) {
    for (const check of checks) {
      if ('at' in check) count(check.at.part, check.at.key, check.version)
      else count(check.log.part, check.log.key)
    }
    for (const op of ops) {
      if ('put' in op) count(op.put.part, op.put.key, op.value)
      else if ('append' in op) count(op.append.part, op.append.key, op.value, op.ref)
      else if ('delete' in op) count(op.delete.part, op.delete.key)
      else if ('deleteRange' in op) count(op.deleteRange.part, op.deleteRange.start, op.deleteRange.end)
      else if ('trim' in op) count(op.trim.part, op.trim.key)
      else count(op.deletePart)
    }
  }
  return bytes
}

/** A batch over `requestCommits` is split. */
export const splitByCount: Case = defineCase('DB-401', 'a batch is split by the number of commits', async (t) => {
  const spy = spyOn(t.driver, { limits: { requestCommits: 8 } })
  const db = t.db({ driver: spy.driver })
  const outcomes = await atOnce(30, (i) => db.commit({ ops: [append('log!', String(i))] }))
  equal(
    spy.commits.map((request) => request.commits.length),
    [8, 8, 8, 6],
  )
  equal(
    outcomes,
    upTo(30).map((seq) => ({ ok: true, seqs: [seq] })),
  )
})

/** A batch over `requestBytes` is split. */
export const splitByBytes: Case = defineCase('DB-402', 'a batch is split by the bytes of its commits', async (t) => {
  const spy = spyOn(t.driver, { limits: { keyOverhead: 0, valueBytes: 1000, requestBytes: 4000 } })
  const db = t.db({ driver: spy.driver })
  const value = new Uint8Array(900)
  await atOnce(20, (i) => db.commit({ ops: [put(`k${i}`, value)] }))
  for (const { commits } of spy.commits) ok(bytesOf(commits) <= 4000, `${bytesOf(commits)} bytes in one request`)
  equal(
    spy.commits.flatMap((request) => request.commits.map((commit) => commit.ops.length)),
    upTo(20).map(() => 1),
  )
  ok(spy.commits.length <= 7, `${spy.commits.length} requests, though three or four commits fit into one`)
})

/** Splits are between calls, never inside one, so the commits of a call stay together. */
export const neverSplitInside: Case = defineCase(
  'DB-403',
  'the commits of one call are never split over requests',
  async (t) => {
    const spy = spyOn(t.driver, { limits: { requestCommits: 8 } })
    const db = t.db({ driver: spy.driver })
    await atOnce(10, (i) => db.commitAll(upTo(3).map(() => ({ ops: [append('log!', String(i))] }))))
    for (const { commits } of spy.commits) {
      equal(commits.length % 3, 0, 'Commits of a request')
      ok(commits.length <= 8, 'Within the limit')
    }
    equal((await t.all({ start: 'log!', end: 'log"' })).length, 30)
  },
)

/** Only the large call is refused, before any I/O. */
export const oversizeAlone: Case = defineCase(
  'DB-404',
  'a call that is too large is refused, and its neighbours are not',
  async (t) => {
    const spy = spyOn(t.driver, {
      limits: { keyOverhead: 0, valueBytes: 1000, requestBytes: 4000, commitKeys: 32, requestCommits: 8 },
    })
    const db = t.db({ driver: spy.driver })
    const tooLarge: readonly Draft[][] = [
      [{ ops: [put('text', 'é'.repeat(501)), put('never', 'x')] }],
      [{ ops: [put('bytes', new Uint8Array(1001)), append('log!', 'never')] }],
      [{ ops: [append('log!', 'x'.repeat(1001))] }],
      [{ ops: upTo(5).map((n) => put(`five${n}`, new Uint8Array(900))) }],
      [{ ops: upTo(33).map((n) => put(`keys${n}`, '')) }],
      [{ checks: upTo(30).map((n) => absent(`k${n}`)), ops: upTo(3).map((n) => put(`keys${n}`, '')) }],
      upTo(9).map(() => ({ ops: [append('log!', 'nine')] })),
    ]
    const before = db.commit({ ops: [put('before', 'v')] })
    const refused = tooLarge.map((drafts) => rejects(db.commitAll(drafts), 'PAYLOAD_TOO_LARGE'))
    const after = db.commit({ ops: [put('after', 'v')] })
    for (const error of await Promise.all(refused)) equal([error.ambiguous, error.retryable], [false, false])
    equal(await Promise.all([before, after]), [
      { ok: true, seqs: [] },
      { ok: true, seqs: [] },
    ])
    equal(await t.keys(), ['after', 'before'])
    equal(spy.commits.length, 1, 'Requests')
  },
)

/** A limit is the largest allowed value. */
export const exactSize: Case = defineCase('DB-405', 'a value exactly at the limit is accepted', async (t) => {
  const spy = spyOn(t.driver, {
    limits: { keyOverhead: 0, valueBytes: 1000, requestBytes: 8000, commitKeys: 32, requestCommits: 8 },
  })
  const db = t.db({ driver: spy.driver })
  const taken: readonly Draft[][] = [
    [{ ops: [put('text', 'x'.repeat(1000))] }],
    [{ ops: [put('two bytes', 'é'.repeat(500))] }],
    [{ ops: [put('three bytes', '€'.repeat(333))] }],
    [{ ops: [put('four bytes', '😀'.repeat(250))] }],
    [{ ops: [put('bytes', new Uint8Array(1000))] }],
    [{ checks: upTo(16).map((n) => absent(`k${n}`)), ops: upTo(16).map((n) => put(`k${n}`, '')) }],
    upTo(8).map(() => ({ ops: [append('log!', 'x')] })),
  ]
  for (const drafts of taken) {
    const outcomes = await db.commitAll(drafts)
    ok(
      outcomes.every((outcome) => outcome.ok),
      'Taken',
    )
  }
})

/** Text is measured in UTF-8, exactly: text that fits is accepted. */
export const fitsAsText: Case = defineCase(
  'DB-406',
  'many text values that fit into a request are accepted',
  async (t) => {
    const spy = spyOn(t.driver, { limits: { keyOverhead: 0, valueBytes: 1000, requestBytes: 4000 } })
    const db = t.db({ driver: spy.driver })
    for (const value of ['x'.repeat(333), 'x'.repeat(334), 'é'.repeat(160), '€'.repeat(111)]) {
      const outcome = await db.commit({ ops: upTo(10).map((n) => put(`k${n}`, value)) })
      ok(outcome.ok, `Ten values of ${sizeOf(value)} bytes`)
    }
  },
)

/** `requestBytes` counts keys and versions, too. */
export const keysCount: Case = defineCase(
  'DB-407',
  'keys and versions count toward the size of a request',
  async (t) => {
    const spy = spyOn(t.driver, { limits: { keyOverhead: 0, requestBytes: 4000 } })
    const db = t.db({ driver: spy.driver })
    const long = 'k'.repeat(300)
    await atOnce(20, (i) =>
      db.commit({
        checks: [absent(`${long}${i}`)],
        ops: [put(`${long}${i}`, 'v'), append(`${long}!`, 'v', `${long}r${i}`)],
      }),
    )
    for (const { commits } of spy.commits) ok(bytesOf(commits) <= 4000, `${bytesOf(commits)} bytes in one request`)
    const ops: Op[] = upTo(15).map((n) => remove(`${long}${n}`))
    await rejects(db.commit({ ops }), 'PAYLOAD_TOO_LARGE')
    ok(
      spy.commits.every(({ commits }) => bytesOf(commits) <= 4000),
      'No request over the limit left',
    )
  },
)

/** The ops of one commit touch a key at most once. */
export const keyTwice: Case = defineCase('DB-408', 'a commit that touches a key twice is refused', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  const refused: readonly Op[][] = [
    [put('k', '1'), put('k', '2')],
    [put('k', '1'), remove('k')],
    [remove('k'), remove('k')],
    [put('k', '1'), append('log!', 'x', 'k')],
    [append('log!', 'x', 'k'), append('log!', 'y', 'k')],
  ]
  const fine = db.commit({ ops: [put('fine', 'v')] })
  for (const ops of refused) await rejects(db.commit({ ops: [put('never', 'x'), ...ops] }), 'INVALID_ARGUMENT')
  equal((await fine).ok, true)
  equal(await t.keys(), ['fine'])
})

/** Cases that only look like touching a key twice. */
export const notTwice: Case = defineCase(
  'DB-409',
  'keys of other parts, appends to one log, and bulk deletes are not twice',
  async (t) => {
    const outcome = await t.db().commit({
      ops: [
        put('k', '1'),
        put(at('k', 'elsewhere'), '1'),
        put(at(' k', PART.slice(0, -1)), '1'),
        append('log!', 'x', 'one'),
        append('log!', 'x', 'two'),
        append('log!', 'x'),
        removeRange('a', 'z'),
        removePart(PART),
        removePart('gone'),
      ],
    })
    equal(outcome, { ok: true, seqs: [1, 2, 3] })
    equal(await t.keys(), ['k', ...upTo(3).map((n) => `log!000000000000000${n}`), 'one', 'two'])
  },
)

/** Reads are split between calls, like commits. */
export const readsSplit: Case = defineCase('DB-410', 'reads are split by the number of questions', async (t) => {
  await t.write(put('k', 'v'))
  const spy = spyOn(t.driver, { limits: { requestReads: 8 } })
  const db = t.db({ driver: spy.driver })
  const answers = await atOnce(10, () => db.read([{ get: at('k') }, { get: at('nothing') }, { get: at('k') }]))
  for (const [one, nothing, two] of answers) equal([one?.value, nothing, two?.value], ['v', null, 'v'])
  for (const reads of spy.reads)
    ok(reads.length <= 8 && reads.length % 3 === 0, `${reads.length} questions in one request`)
})

/** One call is one consistent view. It cannot be split, so it is refused. */
export const tooManyQuestions: Case = defineCase(
  'DB-411',
  'a read with more questions than a request allows is refused',
  async (t) => {
    const spy = spyOn(t.driver, { limits: { requestReads: 8 } })
    const db = t.db({ driver: spy.driver })
    await rejects(db.read(Array.from({ length: 9 }, () => ({ get: at('k') }))), 'PAYLOAD_TOO_LARGE')
    equal(spy.reads.length, 0)
    equal((await db.read(Array.from({ length: 8 }, () => ({ get: at('k') })))).length, 8)
  },
)

/** A page is at most as long as the driver allows. */
export const tooLongPage: Case = defineCase('DB-412', "a page over the driver's limit is refused", async (t) => {
  const spy = spyOn(t.driver, { limits: { rangeEntries: 16 } })
  const db = t.db({ driver: spy.driver })
  for (const limit of [17, 0, -1, 1.5, Number.NaN]) {
    await rejects(db.read([{ range: { part: PART, ...ALL, limit } }]), 'INVALID_ARGUMENT')
  }
  await rejects(db.read([{ parts: { ...ALL, limit: 0 } }]), 'INVALID_ARGUMENT')
  equal(spy.reads.length, 0)
  equal(await db.read([{ range: { part: PART, ...ALL, limit: 16 } }]), [{ entries: [], more: false }])
})

/** A malformed call is refused alone, before any I/O. */
export const malformed: Case = defineCase(
  'DB-413',
  'a malformed commit is refused and harms no neighbour',
  async (t) => {
    const db = t.db()
    const bad: readonly Op[] = [
      { put: at('k'), value: undefined as unknown as string },
      { put: at('k'), value: 5 as unknown as string },
      put('k', 'lone \ud800'),
      put('k', 'nul \0'),
      { put: at('k'), value: 'v', expires: { in: Number.NaN } },
      { put: at('k'), value: 'v', expires: { at: Number.POSITIVE_INFINITY } },
      { put: at('k'), value: 'v', expires: { in: Number.MAX_SAFE_INTEGER } },
      put(at('k', ''), 'v'),
      put('', 'v'),
      put('\u00e9', 'v'),
      append('tab\t!', 'v'),
    ]
    for (const [i, op] of bad.entries()) {
      const before = db.commit({ ops: [put(`before ${i}`, 'v')] })
      const refused = db.commit({ ops: [put('never', 'v'), op] })
      const after = db.commit({ ops: [put(`after ${i}`, 'v')] })
      await rejects(refused, 'INVALID_ARGUMENT')
      equal([(await before).ok, (await after).ok], [true, true])
    }
    const durability = 'paranoid' as 'strict'
    await rejects(db.commit({ ops: [put('never', 'v')] }, { durability }), 'INVALID_ARGUMENT')
    equal((await t.keys()).length, bad.length * 2)
  },
)

/** A log is everything under its prefix. A prefix that ended inside an id would match other keys. */
export const logPrefix: Case = defineCase('DB-414', 'a log whose key does not end in ! is refused', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  for (const log of ['log', 'log"', '!log', 'log! ', 'log!0']) {
    await rejects(db.commit({ ops: [put('never', 'x'), append(log, 'x')] }), 'INVALID_ARGUMENT')
    await rejects(db.commit({ checks: [ends(log, 0)], ops: [put('never', 'x')] }), 'INVALID_ARGUMENT')
  }
  equal(spy.commits.length, 0, 'Requests')
  const checks = [ends('a b!c!', 0)]
  equal(await db.commit({ checks, ops: [append('a b!c!', 'x')] }), { ok: true, seqs: [1] })
})
