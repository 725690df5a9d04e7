/** A worker in any runtime: it reports each attempt before it takes effect, and at the end what is stored. */
import { decode, encode } from '../../../src/core/codec.ts'
import type { Holdfast } from '../../../src/holdfast.ts'
import {
  type RecordedRun,
  type Replayed,
  type WorkerOptions,
  recordedRun,
  replay,
  start,
  work,
} from '../../../src/runner/index.ts'
import { isTerminal } from '../../../src/runs/status.ts'
import type { StepRecord } from '../../../src/runs/step-record.ts'
import type { Run } from '../../../src/stores/workflows/store.ts'
import { type Deed, ORDERS, type Workflows, workflowsIn } from './order.ts'

/** What a worker reports. */
export type Report = { readonly worker: string } & (
  | { readonly say: 'ready' }
  | { readonly say: 'begins'; readonly deed: Deed }
  /** Said again and again by a worker that is halted. */
  | { readonly say: 'here' }
  | { readonly say: 'trouble'; readonly trouble: string }
  /** All runs have ended; the records are encoded. */
  | { readonly say: 'done'; readonly records: string }
)

/** What a worker is told: to go on, or to halt in the middle of the step, until it dies. */
export type Answer = 'go on' | 'halt'

/** Where a worker lives. */
export interface Host {
  readonly worker: string
  readonly holdfast: Holdfast
  report(report: Report): Promise<Answer>
  /** Stays in the middle of a step. By default it does nothing for ever. */
  halt?(): Promise<never>
}

/** Reports to a stage of another process. */
export const reportTo =
  (url: string): Host['report'] =>
  async (report) => {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(report) })
    return (await response.json()) as Answer
  }

/** What is stored of a run, and what its replay gives where the worker is. */
export interface RunRecord {
  readonly run: Run
  readonly steps: readonly StepRecord[]
  readonly recorded: RecordedRun
  readonly replayed: Replayed
  /** Whether each message of the run was received. */
  readonly received: readonly boolean[]
}

/** How long a claim outlives its worker, in milliseconds. */
const LEASE = 5000

/** The options of every worker. */
export const optionsOf = ({ worker, report }: Host): WorkerOptions => ({
  concurrency: 2,
  lease: LEASE,
  pollInterval: 100,
  onError: (error, runId) => void report({ worker, say: 'trouble', trouble: `${runId}: ${String(error)}` }),
})

/** The workflows as this worker runs them. */
export const workflowsOf = ({ worker, holdfast, report, halt = () => new Promise(() => {}) }: Host): Workflows =>
  workflowsIn({
    async begin(deed) {
      if ((await report({ worker, say: 'begins', deed })) === 'halt') await halt()
    },
    send: (runId, name, payload, idempotencyKey) =>
      holdfast.signals.sendMessage(runId, name, payload, { idempotencyKey }),
  })

function nothing(): never {
  throw new Error('A replay has an effect')
}

/** Replays a run of the workflow of this name. */
export function replayed(workflow: string | undefined, recorded: RecordedRun): Promise<Replayed> {
  const { all } = workflowsIn({ begin: nothing, send: nothing })
  return replay(
    all.find(({ name }) => name === workflow)!,
    recorded,
  )
}

/** Starts all runs, as every worker does: one of them creates a run. */
export const startAll = ({ holdfast }: Host, { order }: Workflows) =>
  Promise.all(Object.entries(ORDERS).map(([runId, input]) => start(holdfast, order, { runId, input })))

/** Works until all runs have ended, and reports them. */
export async function finishAll(host: Host): Promise<void> {
  const { worker, report } = host
  const workflows = workflowsOf(host)
  await report({ worker, say: 'ready' })
  const handles = await startAll(host, workflows)
  const ends = handles.map((handle) => handle.result())
  const stop = new AbortController()
  await Promise.all([
    work(host.holdfast, workflows.all, { ...optionsOf(host), workerId: worker, signal: stop.signal }),
    Promise.allSettled(ends).then(() => stop.abort()),
  ])
  await reportAll(host)
}

/** Whether every run has ended. */
export async function haveEnded({ holdfast }: Host): Promise<boolean> {
  for await (const { status } of holdfast.workflows.runs()) if (!isTerminal(status)) return false
  return true
}

/** Reports what is stored. */
export async function reportAll({ worker, holdfast, report }: Host): Promise<void> {
  const records: RunRecord[] = []
  for await (const { runId } of holdfast.workflows.runs()) {
    const run = (await holdfast.workflows.getRun(runId))!
    const steps: StepRecord[] = []
    for await (const step of holdfast.workflows.steps(runId)) steps.push(step)
    const recorded = await recordedRun(holdfast, runId)
    const { items } = await holdfast.signals.listMessages(runId, 'weighed')
    const received = items.map(({ consumed }) => consumed)
    records.push({ run, steps, recorded, received, replayed: await replayed(run.workflow, recorded) })
  }
  await report({ worker, say: 'done', records: encode(records) as string })
}

/** Reads the records of a report. */
export const recordsIn = (text: string): readonly RunRecord[] => decode(text) as readonly RunRecord[]
