/** Commits: all or nothing, in the order of the request. @module */
import { equal, ok } from '../assert.ts'
import {
  absent,
  append,
  at,
  entryKey,
  PART,
  pairs,
  put,
  remove,
  removePart,
  removeRange,
  unchanged,
  upTo,
} from '../build.ts'
import { type Case, defineCase } from '../case.ts'

/** A case starts empty: other cases and earlier runs leave nothing. */
export const startsEmpty: Case = defineCase('DR-101', 'a fresh database is empty', async (t) => {
  equal(await t.parts(), [])
  equal(await t.read({ get: at('k') }, { range: { part: PART, start: ' ', end: '~~', limit: 1 } }), [
    null,
    { entries: [], more: false },
  ])
  const other = await t.another()
  await other.write(put('k', 'theirs'))
  equal(await t.get(at('k')), null, 'Databases of two calls of create are apart')
})

/** `Entry`: key, version, value, expiry, and nothing else. */
export const putThenGet: Case = defineCase(
  'DR-102',
  'a stored value is read back, with the commit id as version',
  async (t) => {
    const { version } = await t.write(put('k', 'hello'))
    equal(await t.get(at('k')), { key: 'k', version, value: 'hello', expiresAt: null })
  },
)

/** A missing key is `null`, and so is a key of a missing part. */
export const getAbsent: Case = defineCase('DR-103', 'an absent key, or a key of an absent part, is null', async (t) => {
  await t.write(put('k', 'v'))
  equal(await t.read({ get: at('other') }, { get: at('k', 'elsewhere') }), [null, null])
})

/** The last commit wins. */
export const overwrite: Case = defineCase('DR-104', 'a second put replaces value and version', async (t) => {
  const first = await t.write(put('k', 'a long first value'))
  const second = await t.write(put('k', '2'))
  ok(first.version !== second.version, 'Commit ids differ')
  equal(await t.get(at('k')), { key: 'k', version: second.version, value: '2', expiresAt: null })
})

/** Deleting again does nothing. */
export const deletes: Case = defineCase(
  'DR-105',
  'delete removes an entry; deleting a missing one succeeds',
  async (t) => {
    await t.write(put('k', 'v'), put('stays', 'v'))
    await t.write(remove('k'))
    equal(await t.keys(), ['stays'])
    equal(await t.commit({ ops: [remove('k'), remove(at('k', 'elsewhere'))] }), { ok: true, seqs: [] })
    equal(await t.parts(), [PART])
  },
)

/** `Commit.id` is the version of every entry it writes. */
export const oneVersion: Case = defineCase(
  'DR-106',
  'everything that a commit writes has its id as version',
  async (t) => {
    const { version } = await t.write(
      put('a', '1'),
      put(at('b', 'elsewhere'), '2', { in: 60_000 }),
      append('log!', '3', 'ref'),
      append('log!', '4'),
    )
    const entries = [...(await t.all()), ...(await t.all({ part: 'elsewhere' }))]
    equal(entries.map((entry) => entry.key).toSorted(), ['a', 'b', entryKey('log!', 1), entryKey('log!', 2), 'ref'])
    for (const entry of entries) equal(entry.version, version, entry.key)
  },
)

/** A commit with failed checks changes nothing, whatever its ops. */
export const failedLeavesNothing: Case = defineCase(
  'DR-107',
  'a commit with a failed check changes nothing',
  async (t) => {
    const { version } = await t.write(put('k', 'old'), put('gone?', 'old'), append('log!', 'one'))
    await t.write(put(at('k', 'elsewhere'), 'old'))
    const before = [await t.all(), await t.all({ part: 'elsewhere' })]
    const outcome = await t.commit({
      checks: [unchanged('k', version), absent('gone?')],
      ops: [
        put('k', 'new'),
        put('z', 'new'),
        remove('gone?'),
        append('log!', 'two', 'ref'),
        append('other!', 'one'),
        removeRange('a', 'b'),
        removePart('elsewhere'),
      ],
    })
    ok(!outcome.ok, 'The check failed')
    equal([await t.all(), await t.all({ part: 'elsewhere' })], before)
    equal(await t.parts(), [PART, 'elsewhere'].toSorted())
    equal((await t.write(append('log!', 'two'), append('other!', 'one'))).seqs, [2, 1], 'No number was used up')
  },
)

/** The commits of one request take effect in their order. */
export const inOrder: Case = defineCase(
  'DR-108',
  'later commits of a request see the effects of earlier ones',
  async (t) => {
    const [a, b, c] = [t.id(), t.id(), t.id()]
    const { outcomes } = await t.send([
      { id: a, checks: [absent('k')], ops: [put('k', '1')] },
      { id: b, checks: [unchanged('k', a)], ops: [put('k', '2')] },
      { checks: [unchanged('k', b)], ops: [remove('k')] },
      { id: c, checks: [absent('k')], ops: [put('k', '3'), append('log!', 'x')] },
      { checks: [{ log: at('log!'), last: 1 }, unchanged('k', c)], ops: [append('log!', 'y')] },
    ])
    equal(outcomes, [
      { ok: true, seqs: [] },
      { ok: true, seqs: [] },
      { ok: true, seqs: [] },
      { ok: true, seqs: [1] },
      { ok: true, seqs: [2] },
    ])
    equal(await t.get(at('k')), { key: 'k', version: c, value: '3', expiresAt: null })
  },
)

/** Each commit is atomic by itself: a neighbour's failure does not affect it. */
export const neighboursUnharmed: Case = defineCase(
  'DR-109',
  'a failing commit does not fail its neighbours',
  async (t) => {
    const [first, last] = [t.id(), t.id()]
    const { outcomes } = await t.send([
      { id: first, ops: [put('k', '1'), append('log!', 'a')] },
      { checks: [absent('k')], ops: [put('k', 'x'), put('never', 'x'), append('log!', 'x')] },
      { checks: [unchanged('nothing', 'here')], ops: [removePart(), append('log!', 'x')] },
      { id: last, checks: [unchanged('k', first)], ops: [put('k', '2'), append('log!', 'b')] },
    ])
    equal(outcomes, [
      { ok: true, seqs: [1] },
      { ok: false, failed: [{ check: 0, current: { key: 'k', version: first, value: '1', expiresAt: null } }] },
      { ok: false, failed: [{ check: 0, current: null }] },
      { ok: true, seqs: [2] },
    ])
    equal(pairs(await t.all()), [
      ['k', '2'],
      [entryKey('log!', 1), 'a'],
      [entryKey('log!', 2), 'b'],
    ])
  },
)

/** A commit may only check. */
export const checksOnly: Case = defineCase(
  'DR-110',
  'a commit without ops returns a verdict and changes nothing',
  async (t) => {
    const { version } = await t.write(put('k', 'v'))
    const before = await t.all()
    const { outcomes } = await t.send([{ checks: [unchanged('k', version)] }, { checks: [absent('k')] }, {}])
    equal(
      outcomes.map((outcome) => outcome.ok),
      [true, false, true],
    )
    equal(outcomes[0], { ok: true, seqs: [] })
    equal(await t.all(), before)
  },
)

/** A commit is atomic across parts. */
export const acrossParts: Case = defineCase('DR-111', 'one commit changes many parts, or none', async (t) => {
  const names = upTo(8).map((n) => `part${n}`)
  await t.write(...names.map((name) => put(at('k', name), 'old')))
  const write = names.map((name) => put(at('k', name), 'new'))
  await t.commit({ checks: [absent(at('k', 'part8'))], ops: write })
  for (const name of names) equal((await t.get(at('k', name)))?.value, 'old', name)
  await t.commit({ checks: [absent(at('k', 'part9'))], ops: write })
  for (const name of names) equal((await t.get(at('k', name)))?.value, 'new', name)
})

/** Deletes of ranges and parts are applied first, wherever they are in the commit. */
export const bulkDeletesFirst: Case = defineCase(
  'DR-112',
  'deletes of ranges and parts come before puts of the commit',
  async (t) => {
    await t.write(put('a', 'old'), put('b', 'old'), put('c', 'old'))
    await t.write(put('b', 'new'), removeRange('a', 'c'), put('a', 'new'))
    equal(pairs(await t.all()), [
      ['a', 'new'],
      ['b', 'new'],
      ['c', 'old'],
    ])
    await t.write(put('b', 'newer'), removePart(), put('d', 'newer'))
    equal(pairs(await t.all()), [
      ['b', 'newer'],
      ['d', 'newer'],
    ])
  },
)

/** The same for appends: a log that the commit deletes starts again. */
export const bulkDeletesBeforeAppends: Case = defineCase(
  'DR-113',
  'deletes of ranges and parts come before appends of the commit',
  async (t) => {
    await t.write(append('log!', 'a', 'ref'), append('log!', 'b'))
    equal((await t.write(append('log!', 'new', 'ref'), removePart())).seqs, [1])
    equal(pairs(await t.all()), [
      [entryKey('log!', 1), 'new'],
      ['ref', '1'],
    ])
    equal((await t.write(append('log!', 'newer'), removeRange('log!', 'log"'))).seqs, [1])
    equal((await t.get(at(entryKey('log!', 1))))?.value, 'newer')
  },
)

/** A key may be touched by several commits of a request, though not twice by one. */
export const sameKeyInOneRequest: Case = defineCase(
  'DR-114',
  'of several puts of a key in one request the last wins',
  async (t) => {
    const ids = upTo(5).map(() => t.id())
    await t.send(ids.map((id, i) => ({ id, ops: [put('k', String(i))] })))
    equal(await t.get(at('k')), { key: 'k', version: ids[4], value: '4', expiresAt: null })
    await t.send([{ ops: [put('k', 'x')] }, { ops: [remove('k')] }])
    equal(await t.get(at('k')), null)
  },
)

/** The ops of a request act as if each commit were its own request. */
export const deleteWithinRequest: Case = defineCase(
  'DR-115',
  'bulk deletes see earlier writes of the same request',
  async (t) => {
    const { outcomes } = await t.send([
      { ops: [put('a', '1'), put('b', '1'), append('log!', 'x')] },
      { ops: [removeRange('a', 'b')] },
      { checks: [absent('a')], ops: [put('a', '2')] },
      { ops: [removePart()] },
      { checks: [absent('a'), absent('b'), { log: at('log!'), last: 0 }], ops: [append('log!', 'y')] },
    ])
    equal(outcomes.at(-1), { ok: true, seqs: [1] })
    equal(pairs(await t.all()), [[entryKey('log!', 1), 'y']])
  },
)
