/** Keys and parts are printable ASCII, compared by code unit. No character is special. @module */
import { encodeId } from '../../core/keys.ts'
import { equal } from '../assert.ts'
import { at, pairs, put, remove, removePart, removeRange } from '../build.ts'
import { type Case, defineCase } from '../case.ts'

/** U+0020 to U+007E. */
const PRINTABLE: readonly string[] = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i))

/** Text that is special somewhere: in SQL, LIKE, GLOB, Redis patterns, hash tags, paths, templates, JavaScript. */
const AWKWARD: readonly string[] = [
  "'",
  '"',
  '`',
  "'; drop table x; --",
  '%',
  '_',
  'a%',
  'a_',
  'ab',
  '*',
  'a*',
  '?',
  '[a]',
  '[^a]',
  '{}',
  '{tag}x',
  '${x}',
  '$1',
  ':a',
  '@a',
  '\\',
  'a\\',
  '\\%',
  '\\u0000',
  ' ',
  ' a',
  'a ',
  'a  ',
  'a',
  'A',
  '/',
  '../a',
  'a/b',
  'a:b',
  'a?b',
  'a#b',
  'a|b',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'undefined',
  'true',
  '0',
  '00',
  '-0',
  '1e3',
  '1000',
  '0x10',
]

const sorted = (names: readonly string[]): string[] => names.toSorted((a, b) => (a < b ? -1 : Number(a > b)))

/** The order is by code unit: no collation, no case folding. */
export const keysSort: Case = defineCase('DR-601', 'keys of every printable character sort by code unit', async (t) => {
  const names = [...PRINTABLE.map((char) => `k${char}`), ...PRINTABLE.map((char) => `k${char}k`)]
  await t.writeAll(names.toReversed().map((key) => put(key, `v${key}`)))
  equal(
    pairs(await t.all()),
    sorted(names).map((key) => [key, `v${key}`]),
  )
  equal(await t.keys({ reverse: true, limit: 7 }), sorted(names).toReversed())
})

/** The same for parts. */
export const partsSort: Case = defineCase(
  'DR-602',
  'parts of every printable character sort by code unit',
  async (t) => {
    const names = PRINTABLE.flatMap((char) => [`p${char}`, `p${char}p`])
    await t.writeAll(names.toReversed().map((part) => put(at('k', part), part)))
    equal(await t.parts(), sorted(names))
    for (const part of names) equal((await t.get(at('k', part)))?.value, part)
  },
)

/** A single character is a key, even one that is special elsewhere. */
export const singleCharacters: Case = defineCase('DR-603', 'keys and parts of one character', async (t) => {
  await t.writeAll(PRINTABLE.map((char) => put(at(char, char), char)))
  equal(await t.parts(), [...PRINTABLE])
  for (const char of PRINTABLE) equal(pairs(await t.all({ part: char })), [[char, char]])
})

/** Each name stands for itself, in every question. */
export const awkwardKeys: Case = defineCase(
  'DR-604',
  'quotes, wildcards and reserved words are just keys',
  async (t) => {
    await t.writeAll(AWKWARD.map((key) => put(key, `v${key}`)))
    const answers = await t.read(...AWKWARD.slice(0, t.limits.requestReads).map((key) => ({ get: at(key) })))
    equal(
      pairs(answers.filter((entry) => entry !== null)),
      AWKWARD.slice(0, answers.length).map((key) => [key, `v${key}`]),
    )
    equal(await t.keys(), sorted(AWKWARD))
    for (const key of AWKWARD) equal(await t.keys({ start: key, end: `${key}!` }).then((keys) => keys[0]), key)
  },
)

/** Deleting a name deletes no other that matches it as a pattern. */
export const awkwardDeletes: Case = defineCase(
  'DR-605',
  'deleting a key with wildcards deletes that key only',
  async (t) => {
    await t.writeAll(AWKWARD.map((key) => put(key, key)))
    const left = new Set(AWKWARD)
    for (const key of ['*', '%', '_', '?', '[a]', 'a_', 'a%', 'a ', '{}', '\\', "'", '__proto__']) {
      await t.write(remove(key))
      left.delete(key)
      equal(await t.keys(), sorted([...left]), `After deleting ${key}`)
    }
    await t.write(removeRange('%', '%!'), removeRange('a', 'a '))
    left.delete('a')
    equal(await t.keys(), sorted([...left]))
  },
)

/** In a similar system, `*` once deleted every tenant. */
export const awkwardParts: Case = defineCase(
  'DR-606',
  'deleting a part with wildcards deletes that part only',
  async (t) => {
    await t.writeAll(AWKWARD.map((part) => put(at('k', part), part)))
    const left = new Set(AWKWARD)
    for (const part of ['*', '%', '_', '?', 'a*', 'a_', 'a%', '[a]', 'a', 'a ', '{}', '\\', '../a', "'"]) {
      await t.write(removePart(part))
      left.delete(part)
      equal(await t.parts(), sorted([...left]), `After deleting ${part}`)
    }
  },
)

/** Part and key are separate: however a driver joins them, no two pairs may collide. */
export const partAndKey: Case = defineCase('DR-607', 'part and key are never confused', async (t) => {
  const names = ['a', 'a!', 'a!b', 'a:b', 'a/b', 'a b', 'a|b', 'a,b', 'a.b', 'b', '!b', ':b', '/b', ' b', 'c', 'b!c']
  const all = names.flatMap((part) => names.map((key) => ({ part, key })))
  await t.writeAll(all.map(({ part, key }) => put(at(key, part), `${part}\n${key}`)))
  for (const part of names) {
    equal(
      pairs(await t.all({ part })),
      sorted(names).map((key) => [key, `${part}\n${key}`]),
    )
  }
})

/** Long names are kept whole: not cut, hashed or refused. */
export const longNames: Case = defineCase(
  'DR-608',
  'parts and keys of 1600 characters that differ in the last',
  async (t) => {
    let long = ''
    for (let i = 0; long.length < 1599; i++)
      long += encodeId(String.fromCodePoint(0x7e + (((i * 7919) % 60_000) % 55_000)), 'id')
    const name = (last: string): string => long.slice(0, 1599) + last
    const names = [name('0'), name('1'), name('9')]
    await t.writeAll(names.flatMap((part) => names.map((key) => put(at(key, part), `${part.at(-1)}${key.at(-1)}`))))
    equal(await t.parts(), names)
    equal(pairs(await t.all({ part: name('1'), start: name('1') })), [
      [name('1'), '11'],
      [name('9'), '19'],
    ])
    await t.write(removePart(name('0')), remove(at(name('9'), name('1'))))
    equal(await t.parts(), names.slice(1))
    equal(await t.keys({ part: name('1') }), names.slice(0, 2))
  },
)

/** The longest names that the stores make: ids of 256 bytes with every character escaped. */
export const longestNames: Case = defineCase('DR-609', 'the longest part and key that ids can make', async (t) => {
  const id = encodeId('~\u007f'.repeat(128), 'id')
  const part = `${id}!run!${id}`
  const keys = [`idempotency!${id}`, `value!${id}`]
  const { version } = await t.write(...keys.map((key) => put(at(key, part), 'v')))
  equal(await t.get(at(keys[0]!, part)), { key: keys[0], version, value: 'v', expiresAt: null })
  equal(await t.keys({ part }), keys)
  equal(await t.parts(), [part])
})
