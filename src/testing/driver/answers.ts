/** Answers are bounded, whatever the request. @module */
import type { Current, Entry, FailedCheck, Read, Value } from '../../core/driver.ts'
import { equal, ok } from '../assert.ts'
import { absent, ALL, at, PART, put, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'

const key = (n: number): string => `k${String(n).padStart(3, '0')}`
const sizeOf = (value: Value | undefined): number =>
  value === undefined ? 0 : typeof value === 'string' ? new TextEncoder().encode(value).length : value.length

/** Slightly more entries of a size than fit into one answer. */
async function fill(t: Context): Promise<{ count: number; size: number }> {
  const { answerBytes, valueBytes, requestBytes } = t.limits
  const size = Math.min(Math.floor(answerBytes / 6), valueBytes, requestBytes - 1024)
  const count = Math.ceil(answerBytes / size) + 2
  for (const n of upTo(count)) await t.write(put(key(n), n % 2 ? 'x'.repeat(size) : new Uint8Array(size).fill(n)))
  return { count, size }
}

const total = (entries: readonly (Entry | Current)[]): number =>
  entries.reduce((sum, it) => sum + it.key.length + it.version.length + sizeOf(it.value), 0)

/** A small request must not make a large answer: the values of failed checks share the room of the answer. */
export const failedChecks: Case = defineCase(
  'DR-1501',
  'values of failed checks share the room of an answer, and versions are always given',
  async (t) => {
    const { count, size } = await fill(t)
    const entries = await t.all({ limit: 2 })
    const draft = { checks: upTo(count).map((n) => absent(key(n))), ops: [put('never', 'v')] }
    const { outcomes } = await t.send([draft, draft, draft])
    const failed = outcomes.flatMap((outcome) => (outcome.ok ? [] : outcome.failed)) as readonly FailedCheck[]
    equal(failed.length, 3 * count)
    const current = failed.map((it) => it.current as Current)
    ok(total(current) <= t.limits.answerBytes + failed.length * 512, 'The answer is bounded')
    const told = current.filter(({ value }) => value !== undefined)
    ok(told.length > 0 && told.length < current.length, 'Some values fit, some do not')
    current.forEach((it, i) => {
      const entry = entries[i % count]!
      equal([it.key, it.version, it.expiresAt], [entry.key, entry.version, null])
      if (it.value !== undefined) equal([sizeOf(it.value), it.value], [size, entry.value])
    })
  },
)

/** One key checked by many commits is many answers. */
export const oneKeyManyTimes: Case = defineCase(
  'DR-1502',
  'a key checked by many commits is answered for each, with its value as often as fits',
  async (t) => {
    const size = Math.min(t.limits.valueBytes, Math.floor(t.limits.answerBytes / 2), t.limits.requestBytes - 1024)
    const { version } = await t.write(put('k', 'x'.repeat(size)))
    const n = Math.min(t.limits.requestCommits, 200)
    const { outcomes } = await t.send(upTo(n).map(() => ({ checks: [absent('k')], ops: [put('never', 'v')] })))
    const current = outcomes.flatMap((outcome) => (outcome.ok ? [] : outcome.failed)).map((it) => it.current as Current)
    equal(new Set(current.map((it) => it.version)), new Set([version]))
    equal(current.length, n)
    ok(total(current) <= t.limits.answerBytes + n * 512, 'The answer is bounded')
  },
)

/** Pages are cut by size, too, and say so. */
export const pages: Case = defineCase(
  'DR-1503',
  'pages are cut to the size of an answer, and can be continued',
  async (t) => {
    const { count } = await fill(t)
    for (const reverse of [false, true]) {
      const page = await t.page({ reverse, limit: Math.min(1000, t.limits.rangeEntries) })
      ok(page.more && page.entries.length > 0, 'There is more, and something already')
      ok(total(page.entries) <= t.limits.answerBytes, 'It is bounded')
    }
    const entries = await t.all()
    equal(
      entries.map((entry) => entry.key),
      upTo(count).map(key),
    )
  },
)

/** The pages of one request share the room, and each makes progress. */
export const manyPages: Case = defineCase(
  'DR-1504',
  'the pages of a request share the room, and each has at least one entry',
  async (t) => {
    await fill(t)
    const n = Math.min(t.limits.requestReads, 12)
    const range = { part: PART, ...ALL, limit: Math.min(1000, t.limits.rangeEntries) }
    const found = await t.read(...upTo(n).map((i) => ({ range: { ...range, start: key(i % 3) } }) satisfies Read))
    for (const page of found) ok(page.entries.length > 0 && page.more, 'Each page has an entry, and more')
    const further = found.flatMap(({ entries }) => entries.slice(1))
    ok(total(further) <= t.limits.answerBytes, 'Beyond the first entry of each they are bounded')
  },
)

/** Keys without values take room, too. */
export const keysOnly: Case = defineCase('DR-1505', 'pages of keys share the room as well', async (t) => {
  const long = 'k'.repeat(400)
  const count = Math.min(t.limits.rangeEntries, 500)
  await t.writeAll(upTo(count).map((n) => put(`${long}${1000 + n}`, 'v')))
  const n = Math.min(t.limits.requestReads, 100)
  const range = { part: PART, ...ALL, limit: count, keysOnly: true }
  const found = await t.read(...upTo(n).map(() => ({ range })))
  ok(total(found.flatMap(({ entries }) => entries.slice(1))) <= t.limits.answerBytes, 'They are bounded')
  equal((await t.keys({ keysOnly: true })).length, count)
})

/** An entry read by its key is always answered, however large. */
export const gets: Case = defineCase('DR-1506', 'a get is always answered with its value', async (t) => {
  const { count, size } = await fill(t)
  const n = Math.min(count, t.limits.requestReads)
  const found = await t.read(...upTo(n).map((i) => ({ get: at(key(i)) })))
  equal(
    found.map((entry) => sizeOf(entry?.value)),
    upTo(n).map(() => size),
  )
})

/** Names of parts take room, too. A driver listed 41 MB of them in one answer. */
export const partsLists: Case = defineCase(
  'DR-1507',
  'a list of parts is cut to the size of an answer, and can be continued',
  async (t) => {
    const { answerBytes, rangeEntries } = t.limits
    const long = 'n'.repeat(3000)
    const names = upTo(Math.min(Math.ceil(answerBytes / long.length), rangeEntries) + 10).map(
      (n) => `${long}${1e6 + n}`,
    )
    await t.writeAll(names.map((part) => put(at('k', part), 'v')))
    const [page] = await t.read({ parts: { ...ALL, limit: rangeEntries } })
    ok(page.more && page.parts.length > 0, 'There is more, and something already')
    const size = page.parts.reduce((sum, part) => sum + part.length, 0)
    ok(size <= answerBytes, 'It is bounded')
    equal(await t.parts({ limit: rangeEntries }), names)
  },
)
