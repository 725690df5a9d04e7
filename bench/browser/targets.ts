/** What the numbers of browsers have to be. */
import type { Figure } from '../measure.ts'
import type { Row } from '../scenarios/row.ts'
import type { Target } from '../targets.ts'
import { LOAD, SET, SET_IN_FLIGHT } from './rows.ts'

const HOLDFAST = 'holdfast'
const RAW = 'raw'

/** The least speed of holdfast, as a multiple of the fastest among others. */
interface Wanted {
  readonly row: string
  readonly than: (subject: string) => boolean
  readonly least: number
  readonly words: string
}

const isRaw = (subject: string): boolean => subject.startsWith(RAW)
const isPeer = (subject: string): boolean => !isRaw(subject)

const WANTED: readonly Wanted[] = [
  { row: SET, than: isRaw, least: 0.85, words: 'speed of raw' },
  { row: SET_IN_FLIGHT, than: isPeer, least: 5, words: 'speed of the fastest peer' },
  { row: SET_IN_FLIGHT, than: (it) => it === 'raw, one transaction', least: 0.7, words: 'speed of raw in one' },
  { row: LOAD, than: isRaw, least: 0.6, words: 'speed of the fastest raw way' },
]

const medianOf = ({ toHoldfast }: { toHoldfast: Figure }): number => toHoldfast.median

/** Judges what was measured in this run of a browser; what was left out is not judged. */
export const judge = (rows: readonly Row[]): Target[] =>
  WANTED.flatMap(({ row, than, least, words }) =>
    [...new Set(rows.map(({ name }) => name).filter((name) => name.startsWith(row)))].map((name): Target => {
      const others = rows.filter((it) => it.name === name && it.subject !== HOLDFAST && than(it.subject))
      const best = others.reduce((a, b) => (medianOf(b) > medianOf(a) ? b : a))
      const value = 1 / medianOf(best)
      return {
        name: `${name}: ${words}`,
        wanted: `>= ${least}`,
        measured: `${value.toFixed(2)} x ${best.subject}`,
        reached: value >= least,
      }
    }),
  )
