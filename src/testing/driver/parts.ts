/** Parts: entries that are listed and deleted together. @module */
import { equal, ok } from '../assert.ts'
import { absent, append, at, ends, PART, put, remove, removePart, removeRange, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'

const name = (n: number): string => `part!${String(n).padStart(3, '0')}`

const mentions = async (t: Context, marker: string): Promise<boolean> =>
  (await t.dump()).some((item) => (typeof item === 'string' ? item : JSON.stringify(item)).includes(marker))

/** A part exists while it has an entry. */
export const listed: Case = defineCase(
  'DR-901',
  'parts are listed once, in order, however many entries they hold',
  async (t) => {
    await t.write(
      put(at('a', 'p2'), '1'),
      put(at('b', 'p2'), '1'),
      append(at('log!', 'p1'), 'x'),
      put(at('a', 'p10'), '1'),
    )
    equal(await t.parts(), ['p1', 'p10', 'p2'])
  },
)

/** `start <= name < end`. */
export const listedHalfOpen: Case = defineCase('DR-902', 'a list of parts holds its start, not its end', async (t) => {
  await t.write(...['a', 'b', 'b!', 'c'].map((part) => put(at('k', part), '1')))
  equal(await t.parts({ start: 'b', end: 'c' }), ['b', 'b!'])
  equal(await t.parts({ start: 'b ', end: 'bb' }), ['b!'])
  equal(await t.parts({ start: 'd', end: 'e' }), [])
  equal(await t.parts({ start: 'c', end: 'c' }), [])
})

/** Pages of parts, as pages of entries. */
export const listedInPages: Case = defineCase('DR-903', 'parts come in pages', async (t) => {
  const names = upTo(12).map(name)
  await t.writeAll(names.map((part) => put(at('k', part), '1')))
  const [page] = await t.read({ parts: { start: ' ', end: '~~', limit: 5 } })
  ok(page.parts.length > 0 && page.parts.length <= 5, 'Between 1 and limit parts')
  equal(page, { parts: names.slice(0, page.parts.length), more: true })
  for (const limit of [1, 5, 12, 13]) equal(await t.parts({ limit }), names)
  const [last] = await t.read({ parts: { start: name(12), end: '~~', limit: 1 } })
  equal(last, { parts: [name(12)], more: false })
})

/** No entry, no part. */
export const emptyPartsVanish: Case = defineCase(
  'DR-904',
  'a part vanishes with its last entry, however that is removed',
  async (t) => {
    await t.write(...upTo(4).map((n) => put(at('k', name(n)), '1')), append(at('log!', name(3)), 'x'))
    await t.write(remove(at('k', name(1))))
    equal(await t.parts(), [2, 3, 4].map(name))
    await t.write(removePart(name(2)))
    equal(await t.parts(), [3, 4].map(name))
    await t.write(removeRange(' ', '~~', name(3)))
    equal(await t.parts(), [name(4)])
    await t.commit({ checks: [absent(at('k', name(4)))], ops: [put(at('k', name(5)), '1')] })
    equal(await t.parts(), [name(4)], 'A failed commit makes no part')
  },
)

/** A part is named by its whole name. */
export const deletedAlone: Case = defineCase(
  'DR-905',
  'deletePart does not touch parts with similar names',
  async (t) => {
    const around = [
      'acme!run!',
      'acme!run!r',
      'acme!run!r1 ',
      'acme!run!r1!',
      'acme!run!r1!x',
      'acme!run!r10',
      'acme!run!R1',
    ]
    await t.write(...around.map((part) => put(at('k', part), '1')), put('k', '1'), append('log!', 'x'))
    await t.write(removePart(PART))
    equal(await t.parts(), around.toSorted())
    equal(await t.all(), [])
  },
)

/** Deleting is idempotent. */
export const deletedAbsent: Case = defineCase('DR-906', 'deleting a part that does not exist succeeds', async (t) => {
  await t.write(put('k', '1'))
  equal(await t.commit({ ops: [removePart('absent'), removePart('absent too')] }), { ok: true, seqs: [] })
  equal(await t.parts(), [PART])
})

/** One op, however many entries it deletes. */
export const deletedWhole: Case = defineCase(
  'DR-907',
  'deletePart deletes a thousand entries in one commit',
  async (t) => {
    await t.writeAll([...upTo(500).map((n) => put(`k${n}`, '1')), ...upTo(500).map((n) => append('log!', String(n)))])
    await t.write(put(at('k', 'elsewhere'), '1'))
    await t.write(removePart())
    equal(await t.all(), [])
    equal(await t.parts(), ['elsewhere'])
  },
)

/** A part is deleted at once, even as its own commit sees it, and nothing comes back. */
export const deletedAndReused: Case = defineCase(
  'DR-908',
  'a deleted part can be filled again and remembers nothing',
  async (t) => {
    await t.write(put('k', 'old'), put('e', 'old', { in: 60_000 }), append('log!', 'x', 'ref'))
    await t.write(removePart())
    const fresh = await t.commit({
      checks: [absent('k'), absent('e'), absent('ref'), ends('log!', 0)],
      ops: [put('e', 'new'), append('log!', 'y')],
    })
    equal(fresh, { ok: true, seqs: [1] })
    equal(await t.keys(), ['e', 'log!0000000000000001'])
  },
)

/** Deletes leave no keys: no counter, no index, no expiry, whatever a driver stores beside the entries. */
export const nothingLeftOfPart: Case = defineCase(
  'DR-909',
  'deletePart leaves nothing of the part in the backend',
  async (t) => {
    const marker = `marker${t.id()}`
    const part = `acme!run!${marker}`
    await t.write(
      put(at('k', part), 'v'),
      put(at('e', part), 'v', { in: 60_000 }),
      put(at('gone', part), 'v', { at: 1 }),
      append(at('log!', part), 'x', 'ref'),
      put(at('k', 'stays'), 'v'),
    )
    ok(await mentions(t, marker), 'The dump shows what is there')
    await t.write(removePart(part))
    equal(await mentions(t, marker), false)
    equal(await t.parts(), ['stays'])
  },
)

/** The same if every entry is deleted by itself. */
export const nothingLeftOfKeys: Case = defineCase(
  'DR-910',
  'deletes of all entries leave nothing in the backend',
  async (t) => {
    const marker = `marker${t.id()}`
    const key = (rest: string): string => `${marker}${rest}`
    await t.write(put(key('a'), 'v'), put(key('b'), 'v', { in: 60_000 }), append(key('log!'), 'x', key('ref')))
    await t.write(put(key('a'), 'again', { in: 60_000 }))
    ok(await mentions(t, marker), 'The dump shows what is there')
    await t.write(remove(key('a')), remove(key('b')), remove(key('ref')), removeRange(key('log!'), key('log"')))
    equal(await mentions(t, marker), false)
    equal(await t.parts(), [])
  },
)

/** A failed commit never existed. */
export const nothingLeftOfFailure: Case = defineCase(
  'DR-911',
  'a commit that fails leaves nothing in the backend',
  async (t) => {
    const marker = `marker${t.id()}`
    const { version } = await t.write(put('k', 'v'))
    await t.commit({
      checks: [absent('k')],
      ops: [put(marker, 'v', { in: 60_000 }), append(`${marker}!`, 'x', `${marker}ref`), put(at('k', marker), marker)],
    })
    equal(await mentions(t, marker), false)
    equal((await t.get(at('k')))?.version, version)
  },
)
