/** Reads inspections from the stores for display. @module */
import type { Holdfast, Run, RunEvent } from 'holdfast'
import { DECISION, type Decision, type Done, type Inspection, STAGES, WORKFLOW } from './inspection.ts'
import type { Logs } from './logs.ts'

/** An entry of the timeline. */
export interface Entry {
  readonly seq: number
  /** In milliseconds since 1970. */
  readonly at: number
  readonly tone: 'good' | 'bad' | 'wait'
  readonly title: string
  readonly text: string
}

/** An inspection for display. */
export interface InspectionView {
  readonly runId: string
  readonly inspection: Inspection
  readonly createdAt: number
  readonly hasEnded: boolean
  readonly tone: Entry['tone']
  /** The progress in words. */
  readonly status: string
  /** How many stages are done. */
  readonly done: number
  readonly isAwaitingDecision: boolean
  /** The tab that works on the inspection now. */
  readonly worker: string | undefined
  readonly entries: readonly Entry[]
}

/** Formats a time as the time of day. */
export const timeOf = (at: number): string => new Date(at).toLocaleTimeString()

/** Reads all inspections, newest first, and follows their logs. */
export async function readInspections({ workflows, claims }: Holdfast, logs: Logs): Promise<InspectionView[]> {
  const ids: string[] = []
  for await (const { runId } of workflows.runs({ workflow: WORKFLOW, limit: 100 })) ids.push(runId)
  logs.follow(ids)
  // Calls made in the same turn share one request, however many runs there are.
  const views = await Promise.all(
    ids.map(async (runId) => {
      const [run, claim] = await Promise.all([workflows.getRun(runId), claims.getClaim(runId)])
      // Another tab may have deleted the run meanwhile.
      return run ? [viewOf(run, logs.of(runId), claim?.workerId)] : []
    }),
  )
  return views.flat().sort((a, b) => b.createdAt - a.createdAt)
}

/**
 * Builds the view of one run.
 *
 * @param run - the record of the run
 * @param events - the log of the run
 * @param worker - the holder of the claim
 */
function viewOf(run: Run, events: readonly RunEvent[], worker: string | undefined): InspectionView {
  const { runId, createdAt, position, completion } = run
  const finished = new Set(events.filter((it) => ENDS.has(it.kind)).map((it) => it.stepId))
  return {
    runId,
    createdAt,
    inspection: run.input as Inspection,
    hasEnded: completion !== undefined || run.status === 'cancelled',
    ...standing(run),
    done: STAGES.filter((stage) => finished.has(stage.stepId)).length,
    isAwaitingDecision: run.status === 'waiting' && position?.kind === 'wait' && position.names !== undefined,
    worker,
    entries: timeline(events),
  }
}

const ENDS = new Set(['step.completed', 'sleep.completed', 'message.received'])

function standing({ status, position, signals }: Run): Pick<InspectionView, 'tone' | 'status'> {
  if (status === 'completed') return { tone: 'good', status: 'Sent' }
  if (status === 'cancelled') return { tone: 'bad', status: 'Withdrawn' }
  if (status === 'failed') return { tone: 'bad', status: 'Sent back' }
  if (signals?.cancel) return { tone: 'wait', status: 'Being withdrawn' }
  if (position?.kind === 'wait' && position.names) return { tone: 'wait', status: 'Needs approval' }
  if (position?.kind === 'wait' && position.wakeAt !== undefined) {
    const isRetry = position.stepId.startsWith('retry ')
    return { tone: 'wait', status: `${isRetry ? 'Tries again' : 'Waits until'} ${timeOf(position.wakeAt)}` }
  }
  return { tone: 'wait', status: 'In progress' }
}

/** Describes the log in words. Repeated failures of one step are one entry. */
function timeline(events: readonly RunEvent[]): Entry[] {
  const entries: Entry[] = []
  let last: RunEvent | undefined
  for (const event of events) {
    if (event.kind === 'step.retried' && last?.kind === event.kind && last.stepId === event.stepId) entries.pop()
    entries.push(toEntry(event))
    last = event
  }
  return entries
}

function toEntry({ seq, at, kind, stepId, payload }: RunEvent): Entry {
  const title = STAGES.find((stage) => stage.stepId === stepId)?.title ?? 'Inspection'
  const [tone, text] = describe(kind, payload)
  return { seq, at, tone, title, text }
}

function describe(kind: string, payload: unknown): [Entry['tone'], string] {
  switch (kind) {
    case 'step.completed': {
      const { text, tab } = payload as Done
      return ['good', `${text} (by tab ${tab})`]
    }
    case 'step.retried': {
      const { attempt, error, retryAt } = payload as { attempt: number; error: Error; retryAt: number }
      return [
        'bad',
        `${error.message}: ${attempt === 1 ? 'tried once' : `tried ${attempt} times`}, again at ${timeOf(retryAt)}`,
      ]
    }
    case 'sleep.started':
      return ['wait', `Can be withdrawn until ${timeOf(payload as number)}`]
    case 'sleep.completed':
      return ['good', 'The time is over']
    case 'message.awaited':
      return ['wait', `Waits for a ${DECISION}`]
    case 'message.received': {
      const { verdict, by } = payload as Decision
      return [verdict === 'approved' ? 'good' : 'bad', `${verdict === 'approved' ? 'Approved' : 'Sent back'} by ${by}`]
    }
    case 'run.completed':
      return ['good', 'Done']
    default:
      return ['bad', (payload as { error?: Error } | undefined)?.error?.message ?? kind]
  }
}
