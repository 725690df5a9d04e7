/** Watching through a database: which changes a listener hears of, and the end. @module */
import { innerOf } from '../../core/database.ts'
import { equal, rejects } from '../assert.ts'
import { at, put } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { announces, deaf, soon } from '../stores.ts'

/** Counts its calls, and waits for a number of them. */
function counter() {
  const seen = { calls: 0 }
  let onCall = (): void => {}
  return {
    call() {
      seen.calls++
      onCall()
    },
    count: () => seen.calls,
    async reached(n: number) {
      while (seen.calls < n) await soon(new Promise<void>((resolve) => (onCall = resolve)))
    },
  }
}

/** A change wakes only the workers that wait for it. */
export const concerned: Case = defineCase(
  'DB-501',
  'a listener hears of changes of the parts it is interested in',
  async (t) => {
    const [db, other] = [t.db(), t.db()]
    equal(innerOf(db).announces, true)
    const [mine, all] = [counter(), counter()]
    const stop = db.watch((part) => part === 'mine', mine.call)
    db.watch(() => true, all.call)
    await other.commit({ ops: [put(at('k', 'theirs'), 'v')] })
    await all.reached(1)
    equal(mine.count(), 0)
    await other.commit({ ops: [put(at('k', 'mine'), 'v')] })
    await mine.reached(1)
    stop()
    stop()
    const before = mine.count()
    await other.commit({ ops: [put(at('k', 'mine'), 'w'), put(at('k', 'last'), 'v')] })
    await all.reached(3)
    equal(mine.count(), before)
  },
  {
    needs: announces,
    async otherwise(t) {
      const db = t.db()
      equal(innerOf(db).announces, false)
      const all = counter()
      db.watch(() => true, all.call)
      await db.commit({ ops: [put('k', 'v')] })
      await wait(20)
      equal(all.count(), 0)
    },
  },
)

/** A listener must not wait for ever. */
export const ended: Case = defineCase(
  'DB-502',
  'a close is announced once to every listener, and does not wait for them',
  async (t) => {
    for (const driver of [t.driver, deaf(t.driver)]) {
      const db = t.db({ driver: { ...driver, close: async () => {} } })
      await db.open()
      const [one, gone] = [counter(), counter()]
      db.watch(() => false, one.call)
      db.watch(() => false, gone.call)()
      const closing = db.close()
      await soon(closing)
      await db.close()
      equal([one.count(), gone.count()], [1, 0])
      await rejects((async () => db.watch(() => true, one.call))(), 'CLOSED')
      await t.write(put('k', 'v'))
      await wait(20)
      equal(one.count(), 1)
    }
  },
)
