import { join } from 'node:path'
import { createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'
import { RUN, documentOf, eventOf, nameOf } from '../data.ts'
import { POWER_LOSS, PROCESS_DEATH, type Subject } from './subject.ts'

export const holdfast: Subject = {
  name: 'holdfast',
  survives: { strict: POWER_LOSS, relaxed: PROCESS_DEATH },
  async open(directory, durability) {
    const { state, persistence, db } = createHoldfast({
      driver: sqlite({ path: join(directory, 'holdfast.db') }),
      durability,
    })
    return {
      append: (n) => persistence.append({ runId: RUN, workflow: 'order', ...eventOf(n) }),
      set: (n) => state.setJson(nameOf(n), documentOf(n)),
      get: (n) => state.getJson(nameOf(n)),
      load: async () => (await persistence.load(RUN))!.events.length,
      close: () => db.close(),
    }
  },
}
