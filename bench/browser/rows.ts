/** The rows of browsers, and who takes part in them. */
import { NAMES } from '../data.ts'
import { type RowScenario, append, get, load, set } from '../scenarios/row.ts'
import type { Subject } from '../subjects/subject.ts'
import { EVENTS } from './data.ts'
import { holdfast } from './subjects/holdfast.ts'
import { PEERS } from './subjects/peers.ts'
import { raw, rawTogether } from './subjects/raw.ts'
import { ways } from './subjects/reading.ts'

export interface BrowserRow extends RowScenario {
  readonly subjects: readonly Subject[]
}

const IN_FLIGHT = 100

const CALLERS = [raw, holdfast, ...PEERS]
/** All of them have a call for what is under way together. */
const TOGETHER = [raw, holdfast, rawTogether, ...PEERS]
/** All of them fill a log in few transactions; the peers would take minutes for it, call by call. */
const READERS = [rawTogether, holdfast, ...ways]

export const SET = 'set 1 kB one by one'
export const SET_IN_FLIGHT = `set 1 kB, ${IN_FLIGHT} in flight`
export const LOAD = 'load 20 000 events'

export const ROWS: readonly BrowserRow[] = [
  { name: `${SET}, relaxed`, durability: 'relaxed', lanes: 1, call: set, subjects: CALLERS },
  { name: `${SET}, strict`, durability: 'strict', lanes: 1, call: set, subjects: CALLERS },
  { name: `${SET_IN_FLIGHT}, relaxed`, durability: 'relaxed', lanes: IN_FLIGHT, call: set, subjects: TOGETHER },
  { name: `${SET_IN_FLIGHT}, strict`, durability: 'strict', lanes: IN_FLIGHT, call: set, subjects: TOGETHER },
  { name: 'append 1 kB one by one, relaxed', durability: 'relaxed', lanes: 1, call: append, subjects: CALLERS },
  {
    name: `append 1 kB, ${IN_FLIGHT} in flight, relaxed`,
    durability: 'relaxed',
    lanes: IN_FLIGHT,
    call: append,
    subjects: TOGETHER,
  },
  { name: 'get 1 kB', durability: 'relaxed', lanes: 1, call: get, fill: [set, NAMES], subjects: CALLERS },
  { name: LOAD, durability: 'relaxed', lanes: 1, call: load(EVENTS), fill: [append, EVENTS], subjects: READERS },
]
