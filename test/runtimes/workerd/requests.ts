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
import { defineWorkflow, drain, start } from '../../../src/runner/index.ts'
import type { Workflows } from '../../runner/everywhere/order.ts'
import {
  type Host,
  haveEnded,
  optionsOf,
  reportAll,
  reportTo,
  startAll,
  workflowsOf,
} from '../../runner/everywhere/worker.ts'

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

const UNKNOWN = defineWorkflow({ name: 'unknown' }, async () => {})

/** The program of `scheduleAlarm`, whose object dies once in the middle of steps. Each of its lives is a worker. */
export class RunObject {
  readonly #host: Host
  readonly #storage: State['storage']
  readonly #workflows: Workflows

  constructor(state: State, { STAGE }: Pick<Env, 'STAGE'>) {
    this.#storage = state.storage
    this.#host = {
      worker: crypto.randomUUID(),
      holdfast: createHoldfast({ driver: durableObject({ storage: state.storage }) }),
      report: reportTo(STAGE),
      async halt() {
        // What was written has to leave the object before it ends.
        await state.storage.sync()
        state.abort()
        return new Promise(() => {})
      },
    }
    this.#workflows = workflowsOf(this.#host)
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url)
    if (pathname === '/alarm') return Response.json(await this.#storage.getAlarm())
    if (pathname === '/orders') await startAll(this.#host, this.#workflows)
    else await start(this.#host.holdfast, UNKNOWN)
    return Response.json(await this.#plan())
  }

  async alarm(): Promise<void> {
    await drain(this.#host.holdfast, this.#workflows.all, optionsOf(this.#host))
    await this.#plan()
    if (await haveEnded(this.#host)) await reportAll(this.#host)
  }

  async #plan(): Promise<number | null> {
    const workflows = this.#workflows.all.map(({ name }) => name)
    return scheduleAlarm(this.#storage, await this.#host.holdfast.timers.nextDue({ workflows }))
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
  /** Where objects report what they do. */
  readonly STAGE: string
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

export async function fetch(request: Request, env: Env): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url)
  if (pathname.startsWith('/work/')) return workOver(env.DB, pathname.slice('/work/'.length))
  const namespace = env[(searchParams.get('object') ?? 'ALARM') as 'ALARM' | 'RUN' | 'OWNED']
  return namespace.get(namespace.idFromName(searchParams.get('name') ?? 'it')).fetch(request)
}
