/** Watching values: soon with announcements, by polling without. @module */
import type { Driver } from '../../core/driver.ts'
import { tenantParts } from '../../core/keys.ts'
import type { Watched } from '../../core/watch.ts'
import { equal, ok, rejects } from '../assert.ts'
import { type Case, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { announces, BAD_IDS, BAD_NUMBERS, deaf, RUN, several, soon, spied, stores } from '../stores.ts'

/** Longer than any case takes. */
const NEVER = 1e9
const OFTEN = { pollInterval: 20 }

/** Reads one report after the other, sorted. */
function reports(watching: AsyncIterable<readonly string[]>) {
  const iterator = watching[Symbol.asyncIterator]()
  const pull = async (): Promise<readonly string[]> => {
    const { value } = (await iterator.next()) as { value: readonly string[] }
    return value.toSorted()
  }
  return { next: () => soon(pull()), pull, stop: async () => void (await iterator.return?.()) }
}

/** The driver with announcements, and without. */
const both = (driver: Driver): readonly Driver[] => [driver, deaf(driver)]

/** One loop body for existing values and for changes. */
export const named: Case = defineCase(
  'ST-901',
  'a watch reports the existing keys, then written and deleted ones',
  async (t) => {
    for (const driver of both(t.driver)) {
      const [mine, theirs] = [stores(t, { driver }).state, stores(t).state]
      await theirs.set('a', '1')
      const { next, stop } = reports(mine.watch(['a', 'b'], OFTEN))
      equal(await next(), ['a'])
      await theirs.set('b', '2')
      equal(await next(), ['b'])
      await theirs.setJson('a', { n: 1 })
      equal(await next(), ['a'])
      await theirs.delete('b')
      equal(await next(), ['b'])
      await theirs.set('a', '1')
      equal(await next(), ['a'], 'Written again')
      await stop()
      await theirs.delete('a')
    }
  },
)

/** New keys, too. */
export const prefixed: Case = defineCase(
  'ST-902',
  'a watch of a prefix reports all keys that begin with it',
  async (t) => {
    for (const driver of both(t.driver)) {
      const [mine, theirs] = [stores(t, { driver }).state, stores(t).state]
      const many = Array.from({ length: 250 }, (_, i) => `cart ${i}`)
      const { next, stop } = reports(mine.watch({ prefix: 'cart' }, OFTEN))
      equal(await next(), [], 'Nothing is there')
      await Promise.all([...many, 'other', 'car'].map((key) => theirs.set(key, 'v')))
      const found = new Set(await next())
      while (found.size < many.length) for (const key of await next()) found.add(key)
      equal(found, new Set(many))
      await theirs.set('other', 'w')
      await theirs.delete('cart 7')
      equal(await next(), ['cart 7'])
      await stop()
      const all = reports(mine.watch({ prefix: '' }, OFTEN))
      equal((await all.next()).length, many.length + 1)
      await all.stop()
      for await (const key of theirs.keys()) await theirs.delete(key)
    }
  },
)

/** Runs and tenants are separate for watches, too. */
export const scoped: Case = defineCase('ST-903', 'a watch reports the keys of its run, or of its tenant', async (t) => {
  const { state } = stores(t)
  const another = stores(t, {}, 'another').state
  const [ofRun, ofTenant] = [
    reports(state.watch(['k'], { ...OFTEN, runId: RUN })),
    reports(state.watch({ prefix: 'k' }, OFTEN)),
  ]
  equal([await ofRun.next(), await ofTenant.next()], [[], []])
  await another.set('k', 'v')
  await state.set('k1', 'v')
  await state.set('k', 'v', { runId: RUN })
  equal([await ofRun.next(), await ofTenant.next()], [['k'], ['k1']])
  await ofRun.stop()
  await ofTenant.stop()
})

/** Waiting costs nothing. */
export const idle: Case = defineCase(
  'ST-904',
  'with announcements, an idle watch makes no request',
  async (t) => {
    const [mine, theirs] = [spied(t), stores(t).state]
    const { next, stop } = reports(mine.state.watch(['k'], { pollInterval: NEVER }))
    equal(await next(), [])
    const report = next()
    await wait(50)
    equal(mine.spy.reads.length, 1)
    await theirs.set('k', 'v')
    equal(await report, ['k'])
    ok(mine.spy.reads.length <= 3, 'One look, or two')
    await stop()
  },
  {
    needs: announces,
    async otherwise(t) {
      const [mine, theirs] = [spied(t), stores(t).state]
      const { next, stop } = reports(mine.state.watch(['k'], OFTEN))
      equal(await next(), [])
      await wait(100)
      const report = next()
      await theirs.set('k', 'v')
      equal(await report, ['k'])
      await stop()
    },
  },
)

/** Hints may be lost, or come twice. */
export const lost: Case = defineCase(
  'ST-905',
  'an announcement that is lost, repeated or false misleads no watch',
  async (t) => {
    const never = spied(t, {}, { ...t.driver, watch: () => () => {} })
    const silent = reports(never.state.watch(['k'], OFTEN))
    equal(await silent.next(), [])
    let tell: (parts: readonly string[]) => void = () => {}
    const liar: Driver = {
      ...t.driver,
      watch(listener) {
        tell = listener
        return () => {}
      },
    }
    const lied = spied(t, {}, liar)
    const told = reports(lied.state.watch(['k'], { pollInterval: NEVER }))
    equal(await told.next(), [])
    const report = told.next()
    const parts = [tenantParts(t.tenant).values]
    const looks = lied.spy.reads.length
    tell(parts)
    await lied.spy.arrived(lied.spy.commits.length + looks + 1)
    await never.state.set('k', 'v')
    for (const _ of [1, 2, 3]) tell(parts)
    equal(await report, ['k'])
    equal(await silent.next(), ['k'])
    await silent.stop()
    await told.stop()
  },
)

/** No commit announces it. */
export const expired: Case = defineCase('ST-906', 'a watch reports a key whose value has expired', async (t) => {
  const { state } = stores(t)
  await state.set('k', 'v', { ttl: 1000 })
  const { next, stop } = reports(state.watch(['k'], OFTEN))
  equal(await next(), ['k'])
  await t.sleep(1100)
  equal(await next(), ['k'])
  equal(await state.get('k'), undefined)
  await stop()
})

/** A hundred writes do not cause a hundred reads. */
export const burst: Case = defineCase('ST-907', 'changes that come together are reported together', async (t) => {
  const { state, spy } = spied(t)
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
  const { next, stop } = reports(state.watch({ prefix: 'k' }, OFTEN))
  equal(await next(), [])
  const report = next()
  const looks = spy.reads.length
  const writers = several(t, 4)
  await Promise.all(keys.map((key, i) => writers[i % 4]!.state.set(key, 'v')))
  const found = new Set(await report)
  while (found.size < keys.length) for (const key of await next()) found.add(key)
  ok(spy.reads.length - looks < 50, 'Few looks')
  await stop()
})

/** Nothing is left. */
export const ends: Case = defineCase('ST-908', 'a watch ends with its loop, its signal, or the close', async (t) => {
  const { db, state } = stores(t, { driver: { ...t.driver, close: async () => {} } })
  await state.set('k', 'v')
  for await (const keys of state.watch(['k'])) {
    equal(keys, ['k'])
    break
  }
  const stop = new AbortController()
  const aborted = reports(state.watch(['k'], { pollInterval: NEVER, signal: stop.signal }))
  await aborted.next()
  const refused = rejects(aborted.pull(), 'ABORTED')
  stop.abort(new Error('Enough'))
  await soon(refused)
  const closed = reports(state.watch({ prefix: '' }, { pollInterval: NEVER }))
  await closed.next()
  const ended = rejects(closed.pull(), 'CLOSED')
  await soon(db.close())
  await soon(ended)
  await rejects(reports(state.watch(['k'])).pull(), 'CLOSED')
})

/** Before any I/O. */
export const refused: Case = defineCase('ST-909', 'malformed watches are refused', async (t) => {
  const { state, spy } = spied(t)
  const refuse = (watched: unknown, options?: object): Promise<unknown> =>
    rejects(reports(state.watch(watched as Watched, options)).pull(), 'INVALID_ARGUMENT')
  for (const watched of [undefined, null, 5, 'k', {}, { prefix: 5 }, { prefix: null }]) await refuse(watched)
  for (const id of BAD_IDS) await refuse([id])
  await refuse({ prefix: 'x'.repeat(257) })
  for (const runId of BAD_IDS) if (runId !== undefined) await refuse(['k'], { runId })
  for (const pollInterval of [0, 1e9 + 1, ...BAD_NUMBERS]) await refuse(['k'], { pollInterval })
  equal([spy.reads.length, spy.commits.length], [0, 0])
})
