/** The rows of Node, and who takes part in them. */
import { LOG, NAMES } from '../data.ts'
import { holdfast } from '../subjects/holdfast.ts'
import { keyv } from '../subjects/keyv.ts'
import { langgraph } from '../subjects/langgraph.ts'
import { raw } from '../subjects/raw.ts'
import type { Subject } from '../subjects/subject.ts'
import { unstorageDb0, unstorageFs } from '../subjects/unstorage.ts'
import { type RowScenario, append, get, load, set } from './row.ts'

export const SUBJECTS: readonly Subject[] = [raw, holdfast, unstorageFs, unstorageDb0, keyv, langgraph]
const IN_FLIGHT = 64

export const ROWS: readonly RowScenario[] = [
  { name: 'append one by one, strict', durability: 'strict', lanes: 1, call: append },
  { name: 'append one by one, relaxed', durability: 'relaxed', lanes: 1, call: append },
  { name: `append ${IN_FLIGHT} in flight, strict`, durability: 'strict', lanes: IN_FLIGHT, call: append },
  { name: `append ${IN_FLIGHT} in flight, relaxed`, durability: 'relaxed', lanes: IN_FLIGHT, call: append },
  { name: 'set 1 kB, strict', durability: 'strict', lanes: 1, call: set },
  { name: 'set 1 kB, relaxed', durability: 'relaxed', lanes: 1, call: set },
  { name: 'get 1 kB', durability: 'relaxed', lanes: 1, call: get, fill: [set, NAMES] },
  { name: 'load 10 000 events', durability: 'relaxed', lanes: 1, call: load(LOG), fill: [append, LOG] },
]
