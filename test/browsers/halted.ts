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
/** The longest that a commit may take meanwhile, in milliseconds. */
const SOON = 1000

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
      const during = (commit: Span): boolean => halts.some(([from, to]) => commit[0] < to && commit[1] > from)
      const meanwhile = other!.commits!.filter(during)
      expect(meanwhile.length).toBeGreaterThan(3 * halts.length)
      expect(Math.max(...meanwhile.map(([from, to]) => to - from))).toBeLessThan(SOON)
      expect(other!.found).toEqual([true])
      // Its own calls have come to their end as well.
      expect(halted!.found).toEqual(['2', 1])
    })
  })
}

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
