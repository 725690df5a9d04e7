/** Random histories against the models: on the page, in a worker, and on the page over the driver of a worker. */
import fc from 'fast-check'
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { bursts, sequences } from '../../model/calls.ts'
import { playCalls } from '../../model/play-calls.ts'
import { type Make, play } from '../../model/play.ts'
import { steps } from '../../model/requests.ts'
import { deleteDatabase } from './raw.ts'
import { QUERY, REALM, type Realm, describe, report, startWorker } from './report.ts'
import { servesHere, startServing } from './served.ts'

/** What came of one kind of histories. */
export interface ModelReport {
  readonly realm: Realm
  readonly kind: string
  /** Absent where all went as it should. */
  readonly error?: string
}

type MakeNamed = (name: string, clock: () => number) => ReturnType<Make>

const settings = { numRuns: Number(QUERY.get('runs')), seed: Number(QUERY.get('seed')), endOnFailure: true }

async function playAll(realm: Realm, make: MakeNamed): Promise<void> {
  let databases = 0
  /** Plays every history on a database of its own. */
  async function check<T>(
    kind: string,
    histories: fc.Arbitrary<T>,
    playOne: (make: Make, isFile: boolean, history: T) => Promise<void>,
  ): Promise<void> {
    const property = fc.asyncProperty(histories, async (history) => {
      const name = `${realm} ${databases++}`
      await playOne((clock) => make(name, clock), true, history)
      await deleteDatabase(name)
    })
    const error = await fc.assert(property, settings).then(
      () => undefined,
      (cause: unknown) => ({ error: describe(cause) }),
    )
    await report({ realm, kind, ...error } satisfies ModelReport)
  }
  await check('requests', steps, play)
  await check('sequences of calls', sequences, playCalls)
  await check('bursts of calls', bursts, playCalls)
}

if (!servesHere()) {
  if (REALM === 'page') startWorker()
  await playAll(REALM, (name, clock) => indexedDb({ name, clock }))
  if (REALM === 'page') await playAll('channel', startServing().timed)
}
