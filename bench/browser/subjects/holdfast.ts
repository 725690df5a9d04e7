import { createHoldfast } from 'holdfast'
import { indexedDb } from 'holdfast/indexeddb'
import { RUN, documentOf, nameOf } from '../../data.ts'
import type { Subject } from '../../subjects/subject.ts'
import { recordOf } from '../data.ts'
import { BOTH } from './survives.ts'

export const holdfast: Subject = {
  name: 'holdfast',
  survives: BOTH,
  async open(name, durability) {
    const { state, persistence, db } = createHoldfast({ driver: indexedDb({ name }), durability })
    return {
      append: (n) => persistence.append({ runId: RUN, workflow: 'order', ...recordOf(n) }),
      set: (n) => state.setJson(nameOf(n), documentOf(n)),
      get: (n) => state.getJson(nameOf(n)),
      load: async () => (await persistence.load(RUN))!.events.length,
      close: () => db.close(),
    }
  },
}
