/** Entries that expire by the backend's clock. @module */
import type { Entry, EntryPage } from '../../core/driver.ts'
import { equal, ok } from '../assert.ts'
import { ALL, PART, absent, at, put, removePart, unchanged, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'

/** Long enough for a round trip, short enough to wait for. */
const LIFE = 1000
const LONG = 600_000
const PAST = { at: 1 } as const

/** Lets an entry that lives {@link LIFE} expire. */
const outlive = (t: Context): Promise<void> => t.sleep(LIFE + 100)

/** `in`: milliseconds by the clock of the commit, resolved inside it. */
export const expiresIn: Case = defineCase(
  'DR-501',
  'an entry that expires after a time exists until then',
  async (t) => {
    const { version, now } = await t.write(put('k', 'v', { in: LIFE }))
    const entry = { key: 'k', version, value: 'v', expiresAt: now + LIFE }
    const soon = await t.driver.read([{ get: at('k') }])
    equal(soon.answers[0], soon.now < entry.expiresAt ? entry : null)
    await outlive(t)
    const late = await t.driver.read([{ get: at('k') }])
    ok(late.now >= entry.expiresAt, 'The clock went on')
    equal(late.answers[0], null)
  },
)

/** `at`: a time of the backend's clock. */
export const expiresAt: Case = defineCase('DR-502', 'an entry that expires at a time exists until then', async (t) => {
  const { now } = await t.driver.read([])
  const moment = Math.floor(now) + LIFE
  const { version } = await t.write(put('k', 'v', { at: moment }))
  const soon = await t.driver.read([{ get: at('k') }])
  equal(soon.answers[0], soon.now < moment ? { key: 'k', version, value: 'v', expiresAt: moment } : null)
  await outlive(t)
  equal(await t.get(at('k')), null)
})

/** A time in the past is no mistake: the entry is absent at once, and the one it replaced is gone. */
export const expiresInThePast: Case = defineCase(
  'DR-503',
  'an entry that expires in the past is never seen',
  async (t) => {
    await t.write(put('k', 'before'))
    await t.write(put('k', 'v', PAST), put('new', 'v', PAST))
    equal(await t.read({ get: at('k') }, { get: at('new') }), [null, null])
    equal(await t.all(), [])
    equal((await t.commit({ checks: [absent('k'), absent('new')], ops: [] })).ok, true)
  },
)

/** Expired entries are absent in reads of every kind. */
export const absentInReads: Case = defineCase('DR-504', 'an expired entry is absent in gets and ranges', async (t) => {
  await t.write(put('a', '1'), put('b', '1', { in: LIFE }), put('c', '1'), put('d', '1', { in: LONG }))
  await outlive(t)
  equal(await t.get(at('b')), null)
  equal(await t.keys(), ['a', 'c', 'd'])
  equal(await t.keys({ reverse: true, keysOnly: true }), ['d', 'c', 'a'])
})

/** Expired entries take no room in a page. */
export const outsideLimit: Case = defineCase('DR-505', 'expired entries do not count toward a limit', async (t) => {
  await t.write(...upTo(20).map((n) => put(`a${n}`, 'expired', PAST)), put('b', '1'), put('c', '1'))
  await t.write(...upTo(20).map((n) => put(`d${n}`, 'expired', PAST)))
  const forwards = await t.page({ limit: 1 })
  equal(
    forwards.entries.map((entry) => entry.key),
    ['b'],
  )
  equal(forwards.more, true)
  equal(
    await t.page({ start: 'c', limit: 1 }),
    { entries: [await t.get(at('c'))], more: false },
    'Nothing live follows',
  )
  const backwards = await t.page({ limit: 1, reverse: true })
  equal(backwards.entries[0]?.key, 'c')
  equal(await t.keys({ limit: 1, reverse: true }), ['c', 'b'])
})

/** Expired entries are absent in checks. */
export const absentInChecks: Case = defineCase('DR-506', 'an expired entry is absent in checks', async (t) => {
  const { version } = await t.write(put('k', '1', { in: LIFE }))
  await outlive(t)
  equal(await t.commit({ checks: [unchanged('k', version)], ops: [put('x', '1')] }), {
    ok: false,
    failed: [{ check: 0, current: null }],
  })
  equal(await t.commit({ checks: [absent('k')], ops: [put('x', '2')] }), { ok: true, seqs: [] })
  equal((await t.get(at('x')))?.value, '2')
})

/** An expired entry that is not removed yet must not show. */
export const putOverExpired: Case = defineCase(
  'DR-507',
  'a put over an expired entry is a put over an absent one',
  async (t) => {
    await t.write(put('k', 'old', PAST), put('l', 'old', PAST))
    const id = t.id()
    equal(
      (await t.commit({ id, checks: [absent('k')], ops: [put('k', 'new'), put('l', 'new', { in: LONG })] })).ok,
      true,
    )
    equal(await t.get(at('k')), { key: 'k', version: id, value: 'new', expiresAt: null })
    equal(await t.keys(), ['k', 'l'])
  },
)

/** An expiry belongs to one put. */
export const cleared: Case = defineCase('DR-508', 'a put without expiry keeps the entry for ever', async (t) => {
  await t.write(put('k', '1', { in: LIFE }))
  const { version } = await t.write(put('k', '2'))
  await outlive(t)
  equal(await t.get(at('k')), { key: 'k', version, value: '2', expiresAt: null })
})

/** A new expiry replaces an old one, whether later or earlier. */
export const restarted: Case = defineCase('DR-509', 'a put with an expiry restarts it', async (t) => {
  await t.write(put('longer', '1', { in: LIFE }), put('shorter', '1', { in: LONG }), put('set', '1'))
  await t.write(put('longer', '2', { in: LONG }), put('shorter', '2', { in: LIFE }), put('set', '2', { in: LIFE }))
  await outlive(t)
  equal(await t.keys(), ['longer'])
})

/** Callers see the expiry wherever they see the entry. */
export const toldEverywhere: Case = defineCase(
  'DR-510',
  'expiresAt is in gets, ranges and failed checks',
  async (t) => {
    const { version, now } = await t.write(put('k', 'v', { in: LONG }))
    const entry: Entry = { key: 'k', version, value: 'v', expiresAt: now + LONG }
    equal(await t.get(at('k')), entry)
    equal(await t.all(), [entry])
    equal(await t.all({ keysOnly: true }), [{ ...entry, value: '' }])
    equal(await t.commit({ checks: [absent('k')] }), { ok: false, failed: [{ check: 0, current: entry }] })
  },
)

/** A delete removes the expiry, too: it must not affect a later entry. */
export const deletedWithEntry: Case = defineCase(
  'DR-511',
  'the expiry of a deleted entry does not touch its successor',
  async (t) => {
    await t.write(put('k', '1', { in: LIFE }))
    await t.write(put(at('k', 'elsewhere'), '1', { in: LIFE }))
    await t.write({ delete: at('k') }, removePart('elsewhere'))
    await t.write(put('k', '2'), put(at('k', 'elsewhere'), '2'))
    await outlive(t)
    equal((await t.get(at('k')))?.value, '2')
    equal((await t.get(at('k', 'elsewhere')))?.value, '2')
  },
)

/** `CommitAnswer.now`: the time by which the request judged expiry, the same for all of its commits. */
export const oneMoment: Case = defineCase('DR-512', 'a request has one time, and returns it', async (t) => {
  const { now } = await t.send([{ ops: [put('a', '1', { in: LONG })] }, { ops: [put('b', '1', { in: LONG })] }])
  const entries = await t.all()
  equal(
    entries.map((entry) => entry.expiresAt),
    [now + LONG, now + LONG],
  )
})

/** Milliseconds since 1970 exceed 32 bits, and so do leases of years. */
export const farFuture: Case = defineCase('DR-513', 'expiries of many years are kept exactly', async (t) => {
  const years = 100 * 365 * 86_400_000
  const { now } = await t.write(put('in', 'v', { in: years }), put('at', 'v', { at: 7_258_118_400_123 }))
  equal((await t.get(at('in')))?.expiresAt, now + years)
  equal((await t.get(at('at')))?.expiresAt, 7_258_118_400_123)
})

/** No backend gets a time that its clock or its columns cannot hold. */
export const lastTime: Case = defineCase(
  'DR-518',
  'an expiry beyond the last possible date is that date',
  async (t) => {
    const last = 8.64e15
    await t.write(put('in', 'v', { in: last }), put('at', 'v', { at: last }))
    equal(
      (await t.all()).map(({ key, expiresAt }) => [key, expiresAt]),
      [
        ['at', last],
        ['in', last],
      ],
    )
  },
)

/** An entry expires for all commits of a request, or for none. */
export const expiredWithinRequest: Case = defineCase(
  'DR-514',
  'an entry that expires during a request is absent for its next commit',
  async (t) => {
    const { outcomes } = await t.send([
      { ops: [put('k', '1', PAST)] },
      { checks: [absent('k')], ops: [put('k', '2', { in: LONG })] },
      { checks: [absent('k')], ops: [put('k', '3')] },
    ])
    equal(
      outcomes.map((outcome) => outcome.ok),
      [true, true, false],
    )
    equal((await t.get(at('k')))?.value, '2')
  },
)

/** A backend's own expiry only collects garbage. It must not remove live entries, or those in between. */
export const neighboursLive: Case = defineCase(
  'DR-515',
  'expiry of some entries leaves the rest of the part alone',
  async (t) => {
    await t.writeAll(upTo(30).map((n) => put(`k${n + 10}`, 'v', n % 3 === 0 ? { in: LIFE } : undefined)))
    await outlive(t)
    await t.write(put(at('k', 'elsewhere'), 'a commit in which a sweep may happen'))
    const live = upTo(30).filter((n) => n % 3 !== 0)
    equal(
      await t.keys({ limit: 4 }),
      live.map((n) => `k${n + 10}`),
    )
  },
)

/** LangGraph-Redis #137: a unit that expires in part is half written. */
export const wholeOrNot: Case = defineCase(
  'DR-516',
  'entries that expire together are all there, or none is',
  async (t) => {
    const keys = upTo(8).map((n) => `k${n}`)
    await t.write(...keys.map((key) => put(key, 'v')))
    const { now } = await t.write(...keys.map((key) => put(key, 'w', { in: LIFE })))
    for (;;) {
      const { now: then, answers } = await t.driver.read([
        { range: { part: PART, ...ALL, limit: 100 } },
        ...keys.map((key) => ({ get: at(key) })),
      ])
      const expected = then < now + LIFE ? keys.length : 0
      const [page, ...entries] = answers
      equal([(page as EntryPage).entries.length, entries.filter((it) => it !== null).length], [expected, expected])
      if (expected === 0) return
      await t.sleep(LIFE / 8)
    }
  },
)

/** Found by random histories: a page in reverse goes down to an expired entry at the start of its range. */
export const reverseToExpired: Case = defineCase(
  'DR-517',
  'a reverse page ends at an expired entry where its range begins',
  async (t) => {
    await t.write(put('k1', 'expired', { in: LIFE }), put('k2', '2'), put('k3', '3'))
    await outlive(t)
    const page = async (limit: number) => {
      const [found] = await t.read({ range: { part: PART, start: 'k1', end: 'k4', limit, reverse: true } })
      const { entries, more } = found
      return [entries.map(({ key }) => key), more]
    }
    equal(await page(1), [['k3'], true])
    equal(await page(2), [['k3', 'k2'], false])
    equal(await page(3), [['k3', 'k2'], false])
  },
)
