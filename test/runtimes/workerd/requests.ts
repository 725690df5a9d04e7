/** A Worker that makes a holdfast for every request, and a Durable Object with an alarm. */
import type { CommitRequest, Driver } from '../../../src/core/driver.ts'
import { type D1Database, d1 } from '../../../src/drivers/sqlite/d1.ts'
import {
  type AlarmStorage,
  type DurableObjectStorage,
  durableObject,
  scheduleAlarm,
} from '../../../src/drivers/sqlite/durable-object.ts'
import { type Holdfast, createHoldfast } from '../../../src/holdfast.ts'
import { defineWorkflow, drain, start } from '../../../src/runner/index.ts'

/** Rounds of two calls that are made at once. */
const ROUNDS = 20
const RUN = 'run'

interface State {
  readonly storage: DurableObjectStorage &
    AlarmStorage & {
      sync(): Promise<void>
      deleteAll(): Promise<void>
      transaction<T>(body: () => Promise<T>): Promise<T>
    }
  abort(): void
  blockConcurrencyWhile<T>(body: () => Promise<T>): Promise<T>
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

/** Short, so that the test need not wait long for the claim of the dead. */
const LEASE = 2000

/** The program of `scheduleAlarm`, whose object dies once in the middle of a step. */
export class RunObject {
  readonly #state: State
  readonly #holdfast: Holdfast
  readonly #order = defineWorkflow({ name: 'order' }, async (ctx) => {
    await ctx.step('charge', async () => {
      const attempt = await this.#holdfast.state.increment('attempts')
      if (attempt > 1) return attempt
      // What was written has to leave the object before it ends.
      await this.#state.storage.sync()
      this.#state.abort()
      return new Promise(() => {})
    })
    await ctx.sleep(300)
  })

  constructor(state: State) {
    this.#state = state
    this.#holdfast = createHoldfast({ driver: durableObject({ storage: state.storage }) })
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const { workflows, state } = this.#holdfast
    if (pathname === '/order') {
      const workflow = defineWorkflow({ name: searchParams.get('workflow')! }, async () => {})
      await start(this.#holdfast, workflow, { runId: 'order-17' })
      return Response.json(await this.#plan())
    }
    const run = await workflows.getRun('order-17')
    return Response.json([run?.status, (await state.get('attempts')) ?? null, await this.#state.storage.getAlarm()])
  }

  async alarm(): Promise<void> {
    await drain(this.#holdfast, [this.#order], { lease: LEASE })
    await this.#plan()
  }

  async #plan(): Promise<number | null> {
    const due = await this.#holdfast.timers.nextDue({ workflows: [this.#order.name] })
    return scheduleAlarm(this.#state.storage, due)
  }
}

/** What the owner of an object may do to its storage, and to the calls under way. */
export class OwnedObject {
  readonly #state: State

  constructor(state: State) {
    this.#state = state
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const holdfast = createHoldfast({ driver: durableObject({ storage: this.#state.storage }) })
    const { state } = holdfast
    switch (pathname) {
      case '/rolled-back': {
        const failure = this.#state.storage.transaction(async () => {
          await state.increment('n')
          throw new Error('rolled back')
        })
        const said = await failure.catch((error: Error) => error.message)
        return Response.json([said, await state.increment('n')])
      }
      case '/delete-all': {
        await state.increment('n')
        await this.#state.storage.deleteAll()
        return Response.json([(await state.get('n')) ?? null, await state.increment('n')])
      }
      default: {
        const calls = Number(searchParams.get('calls'))
        const add = (): Promise<unknown> => Promise.all(Array.from({ length: calls }, () => state.increment('n')))
        // Calls from before are under way, and go on while the object lets nothing else in.
        const before = searchParams.has('before') ? add() : undefined
        if (searchParams.has('before')) await state.get('n')
        await this.#state.blockConcurrencyWhile(add)
        await before
        return Response.json(await state.increment('n'))
      }
    }
  }
}

interface Namespace {
  idFromName(name: string): unknown
  get(id: unknown): { fetch(request: Request): Promise<Response> }
}

interface Env {
  readonly DB: D1Database
  readonly ALARM: Namespace
  readonly RUN: Namespace
  readonly OWNED: Namespace
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

export async function fetch(request: Request, { DB, ...objects }: Env): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url)
  if (pathname.startsWith('/work/')) return workOver(DB, pathname.slice('/work/'.length))
  const namespace = objects[(searchParams.get('object') ?? 'ALARM') as keyof typeof objects]
  return namespace.get(namespace.idFromName(searchParams.get('name') ?? 'it')).fetch(request)
}
