/** What commands take as a moment: too lenient a reading removes what was to be kept. */
import { InvalidArgumentError } from 'commander'
import { describe, expect, it } from 'vitest'
import { moment } from '../../src/cli/arguments.ts'
import { inPlace } from './support.ts'

describe('a moment', () => {
  it.each([
    ['2026-01-31', Date.UTC(2026, 0, 31)],
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['2026-01-31T12:30Z', Date.UTC(2026, 0, 31, 12, 30)],
    ['2026-01-31 12:30:15.250Z', Date.UTC(2026, 0, 31, 12, 30, 15, 250)],
    ['2026-01-31T12:30:15+01:00', Date.UTC(2026, 0, 31, 11, 30, 15)],
    ['2026-01-31T12:30', new Date(2026, 0, 31, 12, 30).getTime()],
  ])('%s is a date', (text, at) => expect(moment(text)).toBe(at))

  it('is a time ago', () => {
    const [before, at] = [Date.now(), moment('30d')]
    expect(at).toBeGreaterThanOrEqual(before - 30 * 86_400_000)
    expect(at).toBeLessThanOrEqual(Date.now() - 30 * 86_400_000)
  })

  it.each(['', '45', '2026', '2026-01', '2026-1-31', '31.1.2026', '2026-02-30', '2026-13-01', '2026-01-31T25:00Z'])(
    '%j is none',
    (text) => expect(() => moment(text)).toThrow(InvalidArgumentError),
  )

  it.each(['9999-12-31', new Date(Date.now() + 86_400_000).toISOString()])('%s is yet to come', (text) =>
    expect(() => moment(text)).toThrow('It must not be in the future.'),
  )

  it('that lacks its unit removes nothing', () =>
    inPlace(async ({ run }) => {
      expect((await run('purge', '--before', '45', '--yes')).code).toBe(2)
      expect((await run('show', 'done')).code).toBe(0)
    }))
})
