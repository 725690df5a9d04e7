/**
 * Announcements are hints that something has changed. They may be lost, so cases wait for them but never count them.
 * @module
 */
import { innerOf } from '../../core/database.ts'
import type { Driver } from '../../core/driver.ts'
import { equal } from '../assert.ts'
import { absent, append, at, put, remove, removePart, removeRange } from '../build.ts'
import { type Case, type Context, type GatedCase, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { announces, soon } from '../stores.ts'

/** Listens to a driver. */
function listen(driver: Driver) {
  const heard = new Set<string>()
  let onHeard = (): void => {}
  const stop = driver.watch!((parts) => {
    for (const part of parts) heard.add(part)
    onHeard()
  })
  /** Waits until all these parts were announced. */
  async function until(...parts: string[]): Promise<void> {
    const all = async (): Promise<void> => {
      while (!parts.every((part) => heard.has(part))) await new Promise<void>((resolve) => (onHeard = resolve))
    }
    await soon(all())
  }
  return { heard, until, stop }
}

/** Without announcements, a database says so, and listeners hear only of its close. */
const silent: Pick<GatedCase, 'needs' | 'otherwise'> = {
  needs: announces,
  async otherwise(t) {
    const db = t.db()
    equal(innerOf(db).announces, false)
    let told = 0
    db.watch(
      () => true,
      () => told++,
    )
    await db.commit({ ops: [put('k', 'v')] })
    await wait(20)
    equal(told, 0)
  },
}

/** For every kind of change. */
export const everyOp: Case = defineCase(
  'DR-1301',
  'a listener hears of every part that a commit has changed',
  async (t) => {
    const { until, stop } = listen(t.driver)
    await t.write(put(at('k', 'put'), 'v'), append(at('log!', 'append'), 'v'))
    await until('put', 'append')
    await t.write(
      remove(at('k', 'delete')),
      removeRange(' ', '~~', 'deleteRange'),
      removePart('deletePart'),
      put(at('k', 'expires'), 'v', { in: 60_000 }),
    )
    await until('delete', 'deleteRange', 'deletePart', 'expires')
    await t.send([{ ops: [put(at('k', 'one'), 'v')] }, { ops: [put(at('k', 'two'), 'v')] }])
    await until('one', 'two')
    stop()
  },
  silent,
)

/** An early hint would be worse than none: the listener would see nothing, and not look again. */
export const afterwards: Case = defineCase(
  'DR-1302',
  'an announced change can be read at once',
  async (t) => {
    const seen: Promise<unknown>[] = []
    const stop = t.driver.watch!(() => void seen.push(t.get(at('k'))))
    const listener = listen(t.driver)
    const { version } = await t.write(put('k', 'v'))
    await listener.until(at('k').part)
    stop()
    listener.stop()
    equal((await Promise.all(seen)).length > 0, true)
    for (const entry of await Promise.all(seen)) {
      equal(entry, { key: 'k', version, value: 'v', expiresAt: null })
    }
  },
  silent,
)

/** Another process, tab or client. */
export const elsewhere: Case = defineCase(
  'DR-1303',
  'commits of one driver are announced to another one on the same data',
  async (t: Context) => {
    const other = await t.reopen()
    const [here, there] = [listen(t.driver), listen(other.driver)]
    // Once a read was answered, the driver is sure to listen to the other process.
    await Promise.all([t.get(at('k')), other.get(at('k'))])
    await t.write(put(at('k', 'mine'), 'v'))
    await Promise.all([here.until('mine'), there.until('mine')])
    await other.write(put(at('k', 'theirs'), 'v'))
    await Promise.all([here.until('theirs'), there.until('theirs')])
    here.stop()
    there.stop()
  },
  {
    needs: (capabilities, backend) => announces(capabilities, backend) && backend.reopen !== undefined,
    otherwise: async (t) => void (await t.write(put('k', 'v'))),
  },
)

/** A stopped listener is not called again, and stops no other. */
export const stopped: Case = defineCase(
  'DR-1304',
  'a stopped listener hears nothing, and the others go on',
  async (t) => {
    const [one, two] = [listen(t.driver), listen(t.driver)]
    await t.write(put(at('k', 'first'), 'v'))
    await Promise.all([one.until('first'), two.until('first')])
    one.stop()
    one.stop()
    await t.write(put(at('k', 'second'), 'v'))
    await two.until('second')
    equal(one.heard.has('second'), false)
    two.stop()
    const three = listen(t.driver)
    await t.write(put(at('k', 'third'), 'v'))
    await three.until('third')
    equal([one.heard.has('third'), two.heard.has('third')], [false, false])
    three.stop()
  },
  silent,
)

/** It would wake listeners for nothing. */
export const refused: Case = defineCase(
  'DR-1305',
  'a commit that changes nothing is not announced',
  async (t) => {
    await t.write(put('k', 'v'))
    const { heard, until, stop } = listen(t.driver)
    await t.commit({ checks: [absent('k')], ops: [put(at('k', 'refused'), 'v')] })
    await t.write(put(at('k', 'next'), 'v'))
    await until('next')
    equal(heard.has('refused'), false)
    stop()
  },
  silent,
)

/** A listener's mistakes affect nobody else. */
export const apart: Case = defineCase(
  'DR-1306',
  'a listener may use the driver at once, and may stop itself',
  async (t) => {
    const { until, stop } = listen(t.driver)
    const answers: Promise<unknown>[] = []
    const stopSelf = t.driver.watch!(() => {
      stopSelf()
      // A driver that reports the listener's own call to it must not keep it going for ever.
      if (answers.length < 3) answers.push(t.write(put(at('k', 'answer'), 'v')))
    })
    await t.write(put(at('k', 'question'), 'v'))
    await until('question', 'answer')
    await Promise.all(answers)
    equal(answers.length, 1)
    stop()
  },
  silent,
)
