/** Program order: a read sees the earlier calls of the same database. @module */
import { equal, rejects } from '../assert.ts'
import { ALL, append, at, atOnce, entryKey, PART, put, removePart, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { spyOn } from '../spy.ts'
import { event, RUN, type Stores, stores, WORKFLOW } from '../stores.ts'

/** Reads overtook writes that were not awaited: on a cold database, after busy times, over slow backends. */
export const readsOwnWrites: Case = defineCase(
  'DB-601',
  'a read sees earlier commits on the same parts, awaited or not',
  async (t) => {
    for (const pause of [0, 5]) {
      const spy = spyOn(t.driver)
      const slow = {
        ...spy.driver,
        commit: async (...args: Parameters<typeof t.driver.commit>) => {
          await wait(pause)
          return t.driver.commit(...args)
        },
      }
      const db = t.db({ driver: pause ? slow : t.driver })
      for (const n of upTo(20)) {
        const writes = [db.commit({ ops: [put('k', `${pause} ${n}`)] }), db.commit({ ops: [append('log!', 'x')] })]
        const range = { part: PART, start: 'log!', end: 'log"', limit: 1, reverse: true, keysOnly: true }
        const [entry, { entries }] = await db.read([{ get: at('k') }, { range }])
        equal(entry?.value, `${pause} ${n}`)
        equal(entries[0]?.key, entryKey('log!', n))
        // The event loop turns once, so that the next calls meet an idle database.
        if (n % 3 === 0) await wait(1)
        await Promise.all(writes)
      }
      await t.write(removePart())
    }
  },
)

/** A read waits only for commits on its own parts. */
export const otherParts: Case = defineCase('DB-602', 'a read does not wait for commits on other parts', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  await t.write(put(at('k', 'acme!run!r2'), 'v'))
  spy.hold()
  const commit = db.commit({ ops: [put('k', 'mine')] })
  await spy.arrived(1)
  const other = db.read([{ get: at('k', 'acme!run!r2') }])
  await spy.arrived(2)
  const own = db.read([{ get: at('k') }, { get: at('k', 'acme!run!r2') }])
  await wait(20)
  equal([spy.commits.length, spy.reads.length], [1, 1], 'The one that concerns the same part waits')
  spy.release()
  equal((await other)[0]?.value, 'v')
  equal(
    (await own).map((entry) => entry?.value),
    ['mine', 'v'],
  )
  equal((await commit).ok, true)
})

/** A list of parts concerns many parts. */
export const namesOfParts: Case = defineCase('DB-603', 'a list of parts sees earlier commits', async (t) => {
  const db = t.db()
  for (const n of upTo(5)) {
    const part = `acme!run!p${n}`
    const commit = db.commit({ ops: [put(at('k', part), 'v')] })
    const [{ parts }] = await db.read([{ parts: { start: part, end: `${part} `, limit: 1 } }])
    equal(parts, [part])
    await commit
  }
})

/** Stores promise that calls take effect in the order they are made. */
export const inStores: Case = defineCase('DB-604', 'reads of stores see earlier calls, awaited or not', async (t) => {
  const { state, log } = stores(t)
  for (const n of upTo(10)) {
    const writes = [state.set('k', String(n)), log.append(event(`e${n}`))]
    const [value, seq, keys] = await Promise.all([state.get('k'), log.getLatestSeq(RUN), state.listKeys()])
    equal([value, seq, keys.items], [String(n), n, ['k']])
    writes.push(state.delete('k') as never)
    equal(await state.exists('k'), false)
    await Promise.all(writes)
  }
})

/** Many reads and commits, interleaved. */
export const interleaved: Case = defineCase('DB-605', 'each of many reads sees the commits before it', async (t) => {
  const db = t.db()
  const results = await atOnce(200, async (i) => {
    const commit = db.commit({ ops: [put(`k${i % 7}`, String(i))] })
    const [entry] = await db.read([{ get: at(`k${i % 7}`) }])
    await commit
    return Number(entry?.value) >= i
  })
  equal(results.filter((isSeen) => !isSeen).length, 0)
})

/** A queued read is a running call. */
export const waitingReads: Case = defineCase(
  'DB-606',
  'a read that waits for commits can be aborted, and close waits for it',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver })
    spy.hold()
    const commit = db.commit({ ops: [put('k', 'v')] })
    await spy.arrived(1)
    const controller = new AbortController()
    const aborted = db.read([{ get: at('k') }], { signal: controller.signal })
    const read = db.read([{ range: { part: PART, ...ALL, limit: 1 } }])
    controller.abort()
    equal((await rejects(aborted, 'ABORTED')).ambiguous, false)
    const closing = db.close()
    await wait(20)
    equal(spy.closes, 0)
    spy.release()
    equal((await read)[0].entries.length, 1)
    equal((await commit).ok, true)
    await closing
    equal(spy.closes, 1)
  },
)

/**
 * A change is made again if the database did not know the content it changes. A read made meanwhile came between the two
 * attempts, for example after every restart of a process.
 */
export const changesMadeAgain: Case = defineCase(
  'DB-607',
  'reads see earlier changes that had to be made again',
  async (t) => {
    const before = stores(t)
    await before.state.set('n', '5')
    await before.state.set('gone', 'v')
    await before.log.append(event('first'))
    await before.state.saveSnapshot({ runId: RUN, state: 'old' })
    await before.state.set('own', 'v', { runId: RUN })
    const claim = (await before.claims.claimTask({ runId: RUN, workerId: 'w', ttl: '1 h' }))!
    await before.claims.extendTaskClaim(claim, '1 h')

    /** Makes a change without waiting for it, then reads. No change is known to the database that makes it. */
    async function see<T>(run: (cold: Stores) => readonly [Promise<unknown>, Promise<T>]): Promise<T> {
      const [change, read] = run(stores(t))
      const found = await read
      await change
      return found
    }
    equal(await see(({ state }) => [state.increment('n'), state.get('n')]), '6')
    equal(
      await see(({ state }) => [state.increment('n'), state.getMany(['n', 'gone'])]),
      new Map([
        ['n', '7'],
        ['gone', 'v'],
      ]),
    )
    equal(await see(({ state }) => [state.getAndDelete('gone'), state.exists('gone')]), false)
    equal(await see(({ log }) => [log.append(event('second')), log.getLatestSeq(RUN)]), 2)
    equal(
      (await see(({ log }) => [log.append(event('third')), log.load(RUN)]))?.events.map(({ kind }) => kind),
      ['first', 'second', 'third'],
    )
    const saved = ({ state }: Stores) =>
      [state.saveSnapshot({ runId: RUN, state: 'new' }), state.loadSnapshot(RUN)] as const
    equal((await see(saved))?.state, 'new')
    const fenced = ({ state }: Stores) =>
      [state.set('own', 'fenced', { runId: RUN, claim }), state.get('own', { runId: RUN })] as const
    equal(await see(fenced), 'fenced')
    equal(await see(({ state }) => [state.deleteExecutionState(RUN), state.get('own', { runId: RUN })]), undefined)
    const two = stores(t)
    const removed = two.workflows.deleteRun(RUN)
    const started = two.workflows.createRun({ runId: RUN, workflow: WORKFLOW })
    equal((await two.workflows.getRun(RUN))?.workflow, WORKFLOW)
    await Promise.all([removed, started])
  },
)
