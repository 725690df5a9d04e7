/** A Worker that makes a holdfast for every request, and a Durable Object with an alarm. */
import type { CommitRequest, Driver } from '../../../src/core/driver.ts'
import { type D1Database, d1 } from '../../../src/drivers/sqlite/d1.ts'
import {
  type AlarmStorage,
  type DurableObjectStorage,
  durableObject,
  scheduleAlarm,
} from '../../../src/drivers/sqlite/durable-object.ts'
import { createHoldfast } from '../../../src/holdfast.ts'

/** Rounds of two calls that are made at once. */
const ROUNDS = 20
const RUN = 'run'

interface State {
  readonly storage: DurableObjectStorage & AlarmStorage
  abort(): void
}

/** Keeps a log that is answered entry by entry, and runs that its alarm moves on. */
export class AlarmObject {
  readonly #state: State
  readonly #holdfast

  constructor(state: State) {
    this.#state = state
    this.#holdfast = createHoldfast({ driver: durableObject({ storage: state.storage }) })
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const { storage } = this.#state
    const { persistence, state, timers } = this.#holdfast
    switch (pathname) {
      case '/append': {
        const { seq } = await persistence.append({ runId: RUN, workflow: 'w', kind: 'k' })
        // The answer is on its way when the object ends, and must not arrive unless the entry is kept.
        if (searchParams.has('abort')) this.#state.abort()
        return Response.json(seq)
      }
      case '/last':
        return Response.json(await persistence.getLatestSeq(RUN))
      case '/wait': {
        const runId = searchParams.get('run')!
        const wakeAt = Date.now() + Number(searchParams.get('in'))
        await state.saveSnapshot({ runId, state: 1, position: { kind: 'delay', stepId: 'nap', wakeAt } })
        return Response.json([wakeAt, await scheduleAlarm(storage, await timers.nextDue())])
      }
      case '/due':
        return Response.json([await scheduleAlarm(storage, await timers.nextDue()), (await timers.nextDue()) ?? null])
      default:
        return Response.json((await persistence.load(pathname.slice(1)))?.completion ?? null)
    }
  }

  async alarm(): Promise<void> {
    await this.#holdfast.timers.advanceDue()
    await scheduleAlarm(this.#state.storage, await this.#holdfast.timers.nextDue())
  }
}

interface Env {
  readonly DB: D1Database
  readonly ALARM: { idFromName(name: string): unknown; get(id: unknown): Pick<AlarmObject, 'fetch'> }
}

/** Plain numbers, which requests may share. */
let underWay = 0
let mostUnderWay = 0

async function workOver(db: D1Database, own: string): Promise<Response> {
  const sent: CommitRequest[] = []
  const over: Driver = d1({ db })
  const driver: Driver = { ...over, commit: (...args) => (sent.push(args[0]), over.commit(...args)) }
  const { state, close } = createHoldfast({ driver })
  mostUnderWay = Math.max(mostUnderWay, ++underWay)
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all([state.set(`${own}-a${round}`, 'v'), state.set(`${own}-b${round}`, 'v')])
  }
  underWay--
  await close()
  const batches = sent.map(({ commits }) =>
    commits.map(({ ops }) => ops.some((op) => JSON.stringify(op).includes(own))),
  )
  return Response.json({ batches, mostUnderWay })
}

export async function fetch(request: Request, { DB, ALARM }: Env): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (pathname.startsWith('/work/')) return workOver(DB, pathname.slice('/work/'.length))
  return ALARM.get(ALARM.idFromName('it')).fetch(request)
}
