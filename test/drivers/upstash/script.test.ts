import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { LOCKING, PLAIN } from '../../../src/drivers/upstash/script.ts'

it.each([
  ['plain', PLAIN],
  ['locking', LOCKING],
])('the %s script has its SHA-1', (_, { source, sha }) => {
  expect(sha).toBe(createHash('sha1').update(source).digest('hex'))
})
