/** Pages of entries, and deletes of ranges. @module */
import { equal, ok, rejects } from '../assert.ts'
import { ALL, append, at, atOnce, entryKey, PART, pairs, put, remove, removeRange, trim, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import type { Client } from '../client.ts'

const name = (n: number): string => `k${String(n).padStart(4, '0')}`
const names = (n: number): string[] => upTo(n).map(name)

/** Puts `k0001` to `k000n`, in mixed order. */
const fill = (t: Client, n: number): Promise<void> =>
  t.writeAll(
    [...names(n).filter((_, i) => i % 2), ...names(n).filter((_, i) => i % 2 === 0)].map((key) => put(key, `v${key}`)),
  )

/** `start <= key < end`, in key order. */
export const halfOpen: Case = defineCase('DR-301', 'a range holds its start, not its end, in key order', async (t) => {
  await t.write(...['d', 'b1', 'a', 'c', 'b'].map((key) => put(key, `v${key}`)))
  equal(pairs(await t.all({ start: 'b', end: 'd' })), [
    ['b', 'vb'],
    ['b1', 'vb1'],
    ['c', 'vc'],
  ])
  equal(await t.keys({ start: 'aa', end: 'bb' }), ['b', 'b1'], 'Bounds need not exist')
  equal(await t.keys(), ['a', 'b', 'b1', 'c', 'd'])
})

/** Ranges return whole entries, like gets. */
export const entriesAreWhole: Case = defineCase('DR-302', 'a range returns the same entries as gets', async (t) => {
  await t.write(put('a', 'text'), put('b', new Uint8Array([1, 2])), put('c', 'expiring', { in: 600_000 }))
  const gets = await t.read({ get: at('a') }, { get: at('b') }, { get: at('c') })
  equal(await t.all(), gets)
})

/** `limit` and `more`. */
export const limited: Case = defineCase('DR-303', 'a limited range says that there is more', async (t) => {
  await fill(t, 10)
  const { entries, more } = await t.page({ limit: 4 })
  ok(entries.length > 0 && entries.length <= 4, 'Between 1 and limit entries')
  equal(
    entries.map((e) => e.key),
    names(entries.length),
  )
  equal(more, true)
})

/** `more` says whether the range has further entries. */
export const exactLimit: Case = defineCase(
  'DR-304',
  'a limit of exactly the number of entries leaves no more',
  async (t) => {
    await fill(t, 8)
    for (const limit of [8, 9]) {
      const { entries, more } = await t.page({ limit })
      equal(more, entries.length < 8, `more with a limit of ${limit}`)
      equal(await t.keys({ limit }), names(8))
    }
    equal((await t.page({ start: name(8), limit: 1 })).more, false, 'Behind the end of the range does not count')
    equal((await t.page({ start: name(7), end: name(8), limit: 1 })).more, false)
  },
)

/** The smallest pages. */
export const limitOne: Case = defineCase('DR-305', 'pages of one entry go through all', async (t) => {
  await fill(t, 6)
  const { entries, more } = await t.page({ limit: 1 })
  equal([entries.map((e) => e.key), more], [[name(1)], true])
  equal(await t.keys({ limit: 1 }), names(6))
  equal(await t.keys({ limit: 1, reverse: true }), names(6).toReversed())
})

/** `reverse`: from the end downwards. */
export const reversed: Case = defineCase(
  'DR-306',
  'a reverse range begins at the end, with the same bounds',
  async (t) => {
    await fill(t, 9)
    const { entries, more } = await t.page({ start: name(3), end: name(8), limit: 1, reverse: true })
    equal([entries.map((e) => e.key), more], [[name(7)], true])
    equal(await t.keys({ start: name(3), end: name(8), reverse: true }), [7, 6, 5, 4, 3].map(name))
    equal(await t.keys({ limit: 2, reverse: true }), names(9).toReversed())
    equal((await t.page({ start: name(9), limit: 1, reverse: true })).more, false)
  },
)

/** `keysOnly`: every `value` is `''`, everything else stays. */
export const keysOnly: Case = defineCase('DR-307', 'keysOnly leaves out values and nothing else', async (t) => {
  const { version, now } = await t.write(
    put('a', 'text'),
    put('b', new Uint8Array([1])),
    put('c', 'x', { in: 600_000 }),
  )
  const expected = [
    { key: 'a', version, value: '', expiresAt: null },
    { key: 'b', version, value: '', expiresAt: null },
    { key: 'c', version, value: '', expiresAt: now + 600_000 },
  ]
  equal(await t.all({ keysOnly: true }), expected)
  equal(await t.all({ keysOnly: true, reverse: true, limit: 2 }), expected.toReversed())
})

/** An empty range is a page, not a miss. */
export const emptyRange: Case = defineCase('DR-308', 'a range without entries is an empty page', async (t) => {
  await t.write(put('a', '1'), put('c', '1'))
  const empty = { entries: [], more: false }
  equal(await t.page({ start: 'b', end: 'c' }), empty)
  equal(await t.page({ start: 'b', end: 'c', reverse: true }), empty)
  equal(await t.page({ start: 'd', end: 'e', limit: 1, keysOnly: true }), empty)
  equal(await t.page({ part: 'absent', limit: 1 }), empty)
})

/** Bounds that meet or cross contain nothing, and are no error. */
export const crossedBounds: Case = defineCase(
  'DR-309',
  'a range whose start is not below its end is empty',
  async (t) => {
    await t.write(put('a', '1'), put('b', '1'), put('c', '1'))
    for (const [start, end] of [
      ['b', 'b'],
      ['c', 'a'],
      ['b', 'a'],
    ] as const) {
      for (const reverse of [false, true]) equal(await t.page({ start, end, reverse }), { entries: [], more: false })
      await t.write(removeRange(start, end))
    }
    equal(await t.keys(), ['a', 'b', 'c'])
  },
)

/** Ranges never leave a part. */
export const staysInPart: Case = defineCase('DR-310', 'a range never leaves its part', async (t) => {
  const around = ['acme!run!r', 'acme!run!r0', 'acme!run!r1!', 'acme!run!r1"', 'acme!run!r10', 'acme!run!r2', 'z', 'A']
  await t.write(...around.map((part) => put(at('k', part), 'theirs')), put('k', 'mine'))
  for (const reverse of [false, true]) equal(pairs(await t.all({ ...ALL, reverse })), [['k', 'mine']])
  equal(await t.page({ limit: 1 }), { entries: [await t.get(at('k'))], more: false })
})

/** A cursor is a key: inserts and deletes meanwhile do not shift the pages. */
export const pagingUnderInserts: Case = defineCase(
  'DR-311',
  'paging under inserts and deletes has no gap and no repeat',
  async (t) => {
    await fill(t, 30)
    const seen: string[] = []
    for (let start: string = ALL.start, n = 0; ; n++) {
      ok(n < 200, 'Paging comes to an end')
      const { entries, more } = await t.page({ start, limit: 4 })
      seen.push(...entries.map((e) => e.key))
      if (!more) break
      start = `${seen.at(-1)!} `
      await t.write(put(`a${n}`, 'before'), put(`${seen.at(-1)!}!`, 'just behind'), remove(seen[0]!))
    }
    equal(
      seen.filter((key) => key.length === 5),
      names(30),
    )
    equal(new Set(seen).size, seen.length, 'Nothing came twice')
    ok(
      seen.includes(`${name(4)}!`) && !seen.includes('a0'),
      'Inserts after the cursor are seen, those before it are not',
    )
  },
)

/** The same from the end. */
export const reversePagingUnderInserts: Case = defineCase(
  'DR-312',
  'reverse paging under inserts has no gap and no repeat',
  async (t) => {
    await fill(t, 30)
    const seen: string[] = []
    for (let end: string = ALL.end, n = 0; ; n++) {
      ok(n < 200, 'Paging comes to an end')
      const { entries, more } = await t.page({ end, limit: 4, reverse: true })
      seen.push(...entries.map((e) => e.key))
      if (!more) break
      end = seen.at(-1)!
      await t.write(put(`z${n}`, 'behind'), put(`${end} `, 'just behind'))
    }
    equal(seen, names(30).toReversed())
  },
)

/** `ReadAnswer.answers`: in the order of the questions. */
export const manyQuestions: Case = defineCase(
  'DR-313',
  'one request answers questions of all kinds in their order',
  async (t) => {
    await t.write(...['a', 'b', 'c'].map((key) => put(key, `v${key}`)), put(at('x', 'elsewhere'), 'vx'))
    const range = { part: PART, ...ALL, limit: 2 }
    const [c, all, nothing, x, parts, back, a] = await t.read(
      { get: at('c') },
      { range: { ...range, limit: 3 } },
      { get: at('nothing') },
      { range: { ...range, part: 'elsewhere' } },
      { parts: { ...ALL, limit: 5 } },
      { range: { ...range, limit: 1, reverse: true, keysOnly: true } },
      { get: at('a') },
    )
    equal([c?.value, nothing, a?.value], ['vc', null, 'va'])
    equal([pairs(all.entries)[0], pairs(x.entries), pairs(back.entries)], [['a', 'va'], [['x', 'vx']], [['c', '']]])
    equal(parts, { parts: [PART, 'elsewhere'], more: false })
    equal(await t.read(), [], 'No questions, no answers')
  },
)

/** Questions of one request do not affect each other. */
export const overlappingQuestions: Case = defineCase(
  'DR-314',
  'the same and overlapping questions in one request',
  async (t) => {
    await fill(t, 6)
    const range = { part: PART, ...ALL, limit: 1 }
    const [first, again, last, one, two] = await t.read(
      { range },
      { range },
      { range: { ...range, reverse: true } },
      { get: at(name(1)) },
      { get: at(name(1)) },
    )
    equal(again, first)
    equal([first.entries[0], first.more, last.entries[0]?.key, last.more], [one, true, name(6), true])
    equal(two, one)
  },
)

/** A list longer than any page of a backend. */
export const longRange: Case = defineCase(
  'DR-315',
  'a thousand entries come in order, forwards and backwards',
  async (t) => {
    await fill(t, 1000)
    equal(await t.keys(), names(1000))
    equal(
      await t.keys({ reverse: true, keysOnly: true, limit: Math.min(333, t.limits.rangeEntries) }),
      names(1000).toReversed(),
    )
  },
)

/** `deleteRange` covers the same keys as a range. */
export const deleteRangeHalfOpen: Case = defineCase(
  'DR-316',
  'deleteRange deletes its start, not its end',
  async (t) => {
    await t.write(...['a', 'b', 'b1', 'b2', 'c', 'd'].map((key) => put(key, key)))
    await t.write(removeRange('b', 'c'))
    equal(await t.keys(), ['a', 'c', 'd'])
    await t.write(removeRange('b', 'c'), removeRange('x', 'y'))
    equal(await t.keys(), ['a', 'c', 'd'], 'An empty range is fine')
  },
)

/** Deletes stay in their part, too. */
export const deleteRangeStaysInPart: Case = defineCase('DR-317', 'deleteRange never leaves its part', async (t) => {
  const around = ['acme!run!r', 'acme!run!r1!', 'acme!run!r10', 'acme!run!r2']
  await t.write(...around.map((part) => put(at('k', part), 'theirs')), put('k', 'mine'))
  await t.write(removeRange(ALL.start, ALL.end))
  equal(await t.parts(), around)
})

/** One op, however many entries it deletes. */
export const deleteLongRange: Case = defineCase(
  'DR-318',
  'deleteRange deletes hundreds of entries in one commit',
  async (t) => {
    await fill(t, 700)
    await t.write(removeRange(name(101), name(601)))
    equal(await t.keys(), [...names(100), ...names(700).slice(600)])
  },
)

/** The seqs of a log sort as keys, so ranges over logs are ranges over seqs. */
export const rangeOfLog: Case = defineCase('DR-319', 'a range finds the entries of a log by seq', async (t) => {
  await t.writeAll(upTo(40).map((n) => append('log!', String(n))))
  await t.write(put('log', 'before'), put('log"', 'behind'))
  const values = async (from: number, to: number, reverse = false): Promise<unknown[]> =>
    (await t.all({ start: entryKey('log!', from), end: entryKey('log!', to), reverse })).map((e) => e.value)
  equal(await values(9, 12), ['9', '10', '11'])
  equal(await values(9, 12, true), ['11', '10', '9'])
  equal((await t.all({ start: 'log!', end: 'log"' })).length, 40)
})

/** Ids like those of checkpoints: the latest sorts last. */
const CHECKPOINTS = upTo(8).map((n) => `checkpoint!1ef${n}-a${9 - n}b`)

/** The last id is never a wrong one: if ids have no meaningful order, the question is refused. */
export const lastOfIds: Case = defineCase(
  'DR-320',
  'the last of some ids is found, or the question is refused',
  async (t) => {
    await t.write(...CHECKPOINTS.map((key) => put(key, key)))
    const bounds = { start: 'checkpoint!', end: 'checkpoint"' }
    equal(pairs((await t.page({ ...bounds, reverse: true, limit: 1 })).entries)[0]?.[0], CHECKPOINTS[7])
    equal(await t.keys({ ...bounds, end: CHECKPOINTS[4]!, reverse: true }), CHECKPOINTS.slice(0, 4).toReversed())
    equal(await t.keys({ start: CHECKPOINTS[3]!, end: CHECKPOINTS[5]! }), CHECKPOINTS.slice(3, 5))
    equal(await t.keys({ start: `${CHECKPOINTS[3]} `, end: `${CHECKPOINTS[5]} ` }), CHECKPOINTS.slice(4, 6))
    await t.write(removeRange('checkpoint!', `${CHECKPOINTS[2]} `))
    equal(await t.keys(bounds), CHECKPOINTS.slice(3))
  },
  {
    needs: ({ idOrder }) => idOrder === undefined,
    async otherwise(t) {
      await t.write(...CHECKPOINTS.map((key) => put(key, key)))
      const all = { start: 'checkpoint!', end: 'checkpoint"' }
      const [one, other] = [CHECKPOINTS[3]!, CHECKPOINTS[5]!]
      const refused = [
        { ...all, reverse: true, limit: 1 },
        { ...ALL, reverse: true, keysOnly: true },
        { ...all, end: one, reverse: true },
        { ...all, end: one },
        { ...all, end: `${one} ` },
        { ...all, start: one },
        { start: one, end: other },
        { start: `${one} `, end: `${other} ` },
        { start: `${one}!`, end: '~~' },
        { start: 'checkpoint!1', end: 'checkpoint!1~~' },
      ]
      for (const range of refused) await rejects(t.page(range), 'UNSUPPORTED')
      for (const [start, end] of [
        [`${one} `, all.end],
        [all.start, `${one} `],
        [one, other],
      ] as const) {
        await rejects(t.send([{ ops: [put('k', 'never'), removeRange(start, end)] }]), 'UNSUPPORTED')
      }
      equal(await t.get(at('k')), null)
      for (const limit of [1, 3, 100]) equal((await t.keys({ ...all, limit })).toSorted(), CHECKPOINTS)
      for (const reverse of [false, true]) {
        equal(pairs(await t.all({ start: one, end: `${one} `, reverse })), [[one, one]], 'One key alone')
      }
      await t.write(removeRange(all.start, all.end))
      equal(await t.keys(), [])
    },
  },
)

/** The seqs of a log are not ids, even if names are hidden. */
export const lastOfLog: Case = defineCase(
  'DR-321',
  'the last entry of a log is found between its first and last seq',
  async (t) => {
    await t.writeAll(upTo(12).map((n) => append('log!', String(n))))
    await t.write(trim('log!', 3))
    const all = { start: entryKey('log!', 0), end: entryKey('log!', Number.MAX_SAFE_INTEGER), reverse: true }
    equal(pairs((await t.page({ ...all, limit: 2 })).entries)[0], [entryKey('log!', 12), '12'])
    equal(
      (await t.keys({ ...all, limit: 5 })).map((key) => Number(key.slice(-16))),
      [...upTo(12).slice(3).toReversed(), 0],
    )
    equal(
      await atOnce(2, async () => (await t.page({ ...all, start: entryKey('log!', 7), limit: 1 })).entries[0]?.value),
      ['12', '12'],
    )
  },
)
