/** Following a log: stored events, then new ones, until the run ends. @module */
import type { RunEvent } from '../../runs/events.ts'
import { equal, rejects } from '../assert.ts'
import { upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { BAD_NUMBERS, RUN, collect, deaf, event, soon, stores } from '../stores.ts'

const OFTEN = { pollInterval: 20 }

const kinds = (events: readonly RunEvent[]): string[] => events.map(({ kind }) => kind)

/** One event after the other, each in time. */
function oneByOne(log: AsyncIterable<RunEvent>) {
  const iterator = log[Symbol.asyncIterator]()
  return {
    next: async (): Promise<string | undefined> => (await soon(iterator.next())).value?.kind,
    stop: async () => void (await iterator.return?.()),
  }
}

/** Like `tail -f`, with an end. */
export const follows: Case = defineCase(
  'PE-1101',
  'following a log gives the stored events, then new ones, and ends with the run',
  async (t) => {
    // With announcements, and without any.
    for (const [i, driver] of [t.driver, deaf(t.driver)].entries()) {
      const runId = `${RUN} ${i}`
      const [mine, theirs] = [stores(t, { driver }).log, stores(t).log]
      const { next } = oneByOne(mine.follow(runId, OFTEN))
      const first = next()
      await theirs.append(event('a', { runId }))
      equal(await first, 'a', 'Of a run that was not there')
      await theirs.appendBatch(['b', 'c'].map((kind) => event(kind, { runId })))
      equal([await next(), await next()], ['b', 'c'])
      const last = next()
      await theirs.complete(runId, 'completed', { event: { kind: 'd' } })
      equal([await last, await next()], ['d', undefined])
      equal(kinds(await soon(collect(mine.follow(runId, OFTEN)))), ['a', 'b', 'c', 'd'], 'Of a run that has ended')
    }
  },
)

/** No event twice, none left out. */
export const fromThere: Case = defineCase(
  'PE-1102',
  'a log can be followed from any seq, in pages of any size, while others append',
  async (t) => {
    const [mine, theirs] = [stores(t).log, stores(t).log]
    await theirs.appendBatch(upTo(7).map((n) => event(`e${n}`)))
    const all = [1, 3, 100].map((limit) => soon(collect(mine.follow(RUN, { ...OFTEN, after: 2, limit }))))
    for (const n of [8, 9, 10]) await theirs.append(event(`e${n}`))
    await theirs.complete(RUN, 'failed')
    const expected = upTo(10).slice(2)
    for (const events of all)
      equal(
        (await events).map(({ seq }) => seq),
        expected,
      )
    equal(await soon(collect(mine.follow(RUN, { ...OFTEN, after: 10 }))), [])
  },
)

/** Otherwise it would wait for ever. */
export const stops: Case = defineCase(
  'PE-1103',
  'following ends on abort, on leaving the loop, and on close',
  async (t) => {
    const { db, log } = stores(t, { driver: { ...t.driver, close: async () => {} } })
    await log.append(event('a'))
    const controller = new AbortController()
    const aborted = log.follow(RUN, { signal: controller.signal })[Symbol.asyncIterator]()
    equal((await aborted.next()).value?.kind, 'a')
    const waiting = rejects(aborted.next(), 'ABORTED')
    controller.abort()
    await soon(waiting)
    for await (const { kind } of log.follow(RUN)) {
      equal(kind, 'a')
      break
    }
    const { next, stop } = oneByOne(log.follow(RUN))
    equal(await next(), 'a')
    await stop()
    for (const after of BAD_NUMBERS) {
      await rejects(collect(log.follow(RUN, { after: after as number })), 'INVALID_ARGUMENT')
    }
    const closed = log.follow(RUN)[Symbol.asyncIterator]()
    equal((await closed.next()).value?.kind, 'a')
    const end = rejects(closed.next(), 'CLOSED')
    await soon(db.close())
    await soon(end)
  },
)
