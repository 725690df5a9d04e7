/** The operations on deliveries, independent of the caller and the store. */
import {
  type Holdfast,
  HoldfastError,
  type Page,
  type Run,
  type RunStatus,
  type RunSummary,
  isHoldfastError,
} from 'holdfast'
import type { Trace } from 'holdfast'
import { purge } from 'holdfast/ops'
import { type Duration, drain, run, start } from 'holdfast/run'
import { type Delivery, type HandOver, AGAIN, WORKFLOW, deliveryWorkflow, stepOf } from './delivery.ts'

/** Options of an intake. */
export interface IntakeOptions extends HandOver {
  readonly holdfast: Holdfast
  /** How long a delivery and its id are kept after its end, in milliseconds. */
  readonly retention: number
  /** Called when a delivery may be ready. */
  readonly wake: (id: string) => void | Promise<void>
}

/** The actions of an operator on a delivery. */
export const ACTIONS = ['cancel', 'pause', 'resume', 'again'] as const
export type Action = (typeof ACTIONS)[number]

/** A delivery with its history. */
export interface Shown {
  readonly run: Run
  readonly delivery: Delivery
  readonly trace: Pick<Trace, 'events' | 'interventions'>
  /** The subscribers that have not received it yet. */
  readonly left: readonly string[]
  /** The subscribers that an operator skipped. */
  readonly skipped: readonly string[]
}

/** The deliveries. Every method throws errors of holdfast, by code. */
export interface Intake {
  /** Accepts a delivery once. Returns whether this call did. @throws `CONFLICT` if the id has other content */
  accept(id: string, delivery: Omit<Delivery, 'subscribers'>): Promise<{ readonly created: boolean; readonly run: Run }>
  list(options: {
    readonly status?: RunStatus | undefined
    readonly cursor?: string | undefined
  }): Promise<Page<RunSummary>>
  /** @throws `NOT_FOUND` */
  show(id: string): Promise<Shown>
  /** @throws `NOT_FOUND`; `ALREADY_COMPLETED`, `CANNOT_UNPAUSE` or `CONFLICT` if the state does not allow the action */
  act(id: string, action: Action, requestedBy: string): Promise<void>
  /** Skips a subscriber: the delivery counts as forwarded. @throws `NOT_FOUND`, `CONFLICT` */
  skip(id: string, subscriber: string, requestedBy: string): Promise<void>
  /** Works on one delivery until it must wait. */
  deliver(id: string): Promise<void>
  /**
   * Works on ready deliveries, and deletes old ones.
   *
   * @returns when to call again at the latest, in milliseconds since 1970, maybe past; `undefined` if nothing waits
   */
  advance(): Promise<number | undefined>
}

const PAGE = 50
/** How long a claim lasts without a heartbeat, in milliseconds. */
const LEASE = 10_000
/** A Worker may have six connections at once, and a limited number of requests. */
const CONCURRENCY = 6
const MOST_RUNS = 100

/** Creates an intake. It connects at the first call. */
export function createIntake({ holdfast, retention, wake, ...handOver }: IntakeOptions): Intake {
  const { claims: _, db, persistence, signals, timers, workflows } = holdfast
  const workflow = deliveryWorkflow(handOver)
  const lease: Duration = LEASE
  const onError = (error: unknown, runId: string | undefined): void => console.error('delivery', runId, error)

  async function show(id: string): Promise<Shown> {
    const [run, trace] = await Promise.all([workflows.getRun(id), persistence.load(id)])
    if (run?.workflow !== WORKFLOW) throw new HoldfastError('NOT_FOUND', 'There is no such delivery')
    const delivery = run.input as Delivery
    const { events = [], interventions = [] } = trace ?? {}
    const { subscribers } = delivery
    const done = new Map(
      events.filter(({ kind }) => kind === 'step.completed').map((it) => [nameOf(it.stepId), it.payload]),
    )
    const left = subscribers.filter((subscriber) => !done.has(stepOf(subscriber)))
    // The result of a forwarded step is the status of the answer, a number.
    const skipped = subscribers.filter((subscriber) => typeof done.get(stepOf(subscriber)) === 'object')
    return { run, delivery, trace: { events, interventions }, left, skipped }
  }

  const isWaitingForOperator = ({ status, position }: Run): boolean =>
    status === 'waiting' && position?.kind === 'wait' && position.names?.includes(AGAIN) === true

  const again = (id: string, requestedBy: string): Promise<unknown> => signals.sendMessage(id, AGAIN, { requestedBy })

  return {
    async accept(id, { body, contentType }) {
      const input: Delivery = { body, contentType, subscribers: Object.keys(handOver.subscribers) }
      let created = true
      try {
        await start(holdfast, workflow, { runId: id, input, policy: 'fail' })
      } catch (error) {
        if (!isHoldfastError(error, 'ALREADY_EXISTS')) throw error
        created = false
      }
      const { run } = await show(id)
      const first = run.input as Delivery
      if (first.body !== body || first.contentType !== contentType) {
        throw new HoldfastError('CONFLICT', 'Another delivery came under this id')
      }
      // Also for a known delivery: the process that accepted it may have died before this call.
      await wake(id)
      return { created, run }
    },
    list: ({ status, cursor }) => workflows.listRuns({ status, cursor, workflow: WORKFLOW, limit: PAGE }),
    show,
    async act(id, action, requestedBy) {
      const { run } = await show(id)
      if (action === 'again') {
        if (!isWaitingForOperator(run))
          throw new HoldfastError('CONFLICT', 'The delivery does not wait for an operator')
        await again(id, requestedBy)
      } else if (action === 'resume') {
        if (!(await signals.clearSignal(id, 'pause'))) await signals.unpause(id)
      } else {
        await signals.storeSignal(id, action, { requestedBy })
      }
      await wake(id)
    },
    async skip(id, subscriber, requestedBy) {
      const { run, trace, left } = await show(id)
      if (!left.includes(subscriber))
        throw new HoldfastError('CONFLICT', 'It is not to be handed over to that subscriber')
      const failures = trace.events.filter(
        ({ kind, stepId }) => kind === 'step.failed' && nameOf(stepId) === stepOf(subscriber),
      )
      const targetStep = stepOf(subscriber, failures.length + 1)
      await persistence.saveIntervention(id, { targetStep, payload: { skippedBy: requestedBy } })
      if (isWaitingForOperator(run)) await again(id, requestedBy)
      else await lookUp(id)
      await wake(id)
    },
    async deliver(id) {
      try {
        await run(holdfast, workflow, { runId: id, lease, maxWait: 0, onError })
      } catch (error) {
        onError(error, id)
      }
    },
    async advance() {
      const taken = await drain(holdfast, [workflow], {
        concurrency: CONCURRENCY,
        limit: MOST_RUNS,
        lease,
        onError,
      })
      await purge(db, { completedBefore: Math.max(0, db.now() - retention) })
      if (taken === MOST_RUNS) return db.now()
      return timers.nextDue({ workflows: [WORKFLOW] })
    },
  }

  /** Makes a run that waits for a retry ready now, so that it takes the intervention. */
  async function lookUp(id: string): Promise<void> {
    try {
      await workflows.updateRun(id, { position: { kind: 'step', stepId: 'work' } }, { expectedStatus: 'waiting' })
    } catch (error) {
      if (!isHoldfastError(error, 'CONFLICT')) throw error
    }
  }
}

/** The step's name without the round. */
const nameOf = (stepId = ''): string => stepId.replace(/#\d+$/, '')
