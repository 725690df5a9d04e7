/** Every case that the systems before this one owe us is named by a case here: in the suite, or in a test. */
import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
/** Family, and its ranges. Left out: what vocabulary.md says does not apply. */
const OWED = {
  RV: [[1, 31]],
  SY: [[1, 74], [77, 78], [82, 98], [100, 100]],
  EN: [[1, 13]],
  DI: [[1, 14]],
} as const // prettier-ignore

/** Ids in a text: `SY-5`, and those that follow it as in `SY-5, SY-7`, `SY-5 to 9` or `SY-5, 6 and 8`. */
function idsIn(text: string): Set<string> {
  const ids = new Set<string>()
  for (const [, family, first, rest] of text.matchAll(/\b(RV|SY|EN|DI)-(\d+)((?:(?:, | and | to |–|…)\d+)*)/g)) {
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

test('every case that is owed is named', () => {
  const files = ['src/testing', 'test'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('seeds.test.ts'))
      .map((name) => join(ROOT, folder, name)),
  )
  const comments = files.flatMap((file) => readFileSync(file, 'utf8').match(/\/\*\*[^]*?\*\/|\/\/.*/g) ?? [])
  const named = idsIn(comments.join('\n').replaceAll(/\n\s*(?:\*|\/\/) ?/g, ' '))
  const missing = Object.entries(OWED).flatMap(([family, ranges]) =>
    ranges.flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, i) => `${family}-${from + i}`).filter((id) => !named.has(id)),
    ),
  )
  expect(missing).toEqual([])
})

test('a missing one would be seen', () => {
  expect([...idsIn('SY-5, SY-7 to 9, EN-1 and 3')].toSorted()).toEqual(['EN-1', 'EN-3', 'SY-5', 'SY-7', 'SY-8', 'SY-9'])
})
