/** A tab of a real browser that is halted in the middle of its calls, beside another one. */
import { describe, expect, it } from 'vitest'
import { part } from '../support/parts.ts'
import type { BrowserEngine } from './engines.ts'
import type { Action, HaltedReport, Place, Span } from './programs/halted.ts'
import { gather } from './session.ts'

const ACTIONS: readonly Action[] = ['append', 'claim', 'set', 'read']
/** For how long the other tab goes on, in milliseconds: as often as this one can be halted. */
const TIME = 16_000
const PATIENCE = 120_000
/** The part of a halt that a commit may last: one that waited for the halted tab would last for nearly all of it. */
const SHARE = 0.75

/** Where a tab can be halted so that others go on, and what else it may do meanwhile. */
export interface Halts {
  readonly places: readonly Place[]
  readonly besides?: readonly Action[]
}

/** Registers the tests of halted tabs in this browser. */
export function haltedIn(engine: BrowserEngine, { places, besides = [] }: Halts): void {
  const actions = [...ACTIONS, ...besides]
  describe.skipIf(!part(engine.part))(`${engine.name}: a tab that is halted`, () => {
    it.each(places)('keeps no other from committing: %s', { timeout: PATIENCE + 20_000 }, async (place) => {
      const [halted, other] = await work(engine, place, actions)
      const halts = halted!.halts!
      // Each action has met with one, but those that hear no answer.
      expect(halts.length).toBeGreaterThanOrEqual(place === 'before it hears an answer' ? 3 : actions.length)
      for (const halt of halts) {
        const shares = other!.commits!.map((commit) => shareOf(halt, commit)).filter((share) => share > 0)
        expect(shares.length).toBeGreaterThan(3)
        expect(Math.max(...shares)).toBeLessThan(SHARE)
      }
      expect(other!.found).toEqual([true])
      // Its own calls have come to their end as well.
      expect(halted!.found).toEqual(['2', 1])
    })
  })
}

/** Which part of the halt the commit lasted. */
const shareOf = ([begin, end]: Span, [from, to]: Span): number =>
  Math.max(0, Math.min(end, to) - Math.max(begin, from)) / (end - begin)

/** Both go on when both are there. */
async function work(engine: BrowserEngine, place: Place, actions: readonly Action[]): Promise<HaltedReport[]> {
  let first: (() => void) | undefined
  const query = new URLSearchParams([
    ['place', place],
    ['time', String(TIME)],
    ...actions.map((action): [string, string] => ['action', action]),
  ])
  const reports = await gather<HaltedReport>(engine, 'halted', {
    reports: 2,
    query: ['halted', 'other'].map((tab) => `?tab=${tab}&${query.toString()}`),
    patience: PATIENCE,
    async answer({ say }) {
      if (say === 'done') return true
      if (first) {
        first()
        first = undefined
      } else await new Promise<void>((resolve) => (first = resolve))
      return false
    },
  })
  return reports.toSorted((a, b) => (a.tab < b.tab ? 1 : -1))
}
