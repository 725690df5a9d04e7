/** Every behaviour that the systems before this one owe us is shown by a case of the suite, or by a test. */
import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { cases } from '../../src/testing/index.ts'
import { SEEDS } from './seeds.ts'

const ROOT = resolve(import.meta.dirname, '../..')
/**
 * Family, and its ranges. Left out: what docs/vocabulary.md says has no counterpart, such as the registry of triggers
 * (DI-7).
 */
const OWED = {
  RV: [[1, 31]],
  SY: [[1, 74], [77, 78], [82, 98], [100, 100]],
  EN: [[1, 13]],
  DI: [[1, 6], [8, 14]],
} as const // prettier-ignore

/** Ids in a text: `SY-5`, and those that follow it as in `SY-5, SY-7`, `SY-5 to 9` or `SY-5, 6 and 8`. */
function idsIn(text: string): Set<string> {
  const ids = new Set<string>()
  const pattern = /\b(RV|SY|EN|DI)-(\d+)((?:(?:, | and | to |–|…)\d+(?!\.?\d))*)/g
  for (const [, family, first, rest] of text.matchAll(pattern)) {
    let last = Number(first)
    ids.add(`${family}-${last}`)
    for (const [, joint, next] of rest!.matchAll(/(, | and | to |–|…)(\d+)/g)) {
      const from = [', ', ' and '].includes(joint!) ? Number(next) : last + 1
      last = Number(next)
      for (let n = from; n <= last; n++) ids.add(`${family}-${n}`)
    }
  }
  return ids
}

/** Ids in the comments of a file. */
function namedIn(file: string): Set<string> {
  const comments = readFileSync(join(ROOT, file), 'utf8').match(/\/\*\*[^]*?\*\/|\/\/.*/g) ?? []
  return idsIn(comments.join('\n').replaceAll(/\n\s*(?:\*|\/\/) ?/g, ' '))
}

const shown = Object.entries(SEEDS).flatMap(([seed, places]) => places.map((place) => ({ seed, place })))

test('every behaviour that is owed is shown somewhere', () => {
  const missing = Object.entries(OWED).flatMap(([family, ranges]) =>
    ranges.flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, i) => `${family}-${from + i}`).filter((id) => !SEEDS[id]?.length),
    ),
  )
  expect(missing).toEqual([])
})

test('every case of the table is in the suite', () => {
  const ids = new Set(cases.map(({ id }) => id))
  const listed = shown.filter(({ place }) => !place.includes('/'))
  expect(listed.length).toBeGreaterThan(0)
  expect(listed.filter(({ place }) => !ids.has(place))).toEqual([])
})

test('every test of the table names what it shows', () => {
  const listed = shown.filter(({ place }) => place.includes('/'))
  expect(listed.length).toBeGreaterThan(0)
  expect(listed.filter(({ seed, place }) => !namedIn(place).has(seed))).toEqual([])
})

test('the published suite names no number that its readers cannot look up', () => {
  const files = readdirSync(join(ROOT, 'src/testing'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src/testing', name))
  expect(files.length).toBeGreaterThan(0)
  expect(files.filter((file) => namedIn(file).size > 0)).toEqual([])
})

test('lists and ranges of ids are understood', () => {
  const all = ['DI-1', 'EN-1', 'EN-3', 'SY-5', 'SY-7', 'SY-8', 'SY-9']
  expect([...idsIn('SY-5, SY-7 to 9, EN-1 and 3; DI-1, 7.4')].toSorted()).toEqual(all)
})
