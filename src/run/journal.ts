/** What a run has done so far: its log, read once, and written one event at a time. @module */
import type { Holdfast } from '../holdfast.ts'
import type { Claim } from '../stores/claims.ts'
import type { RunFields } from '../stores/run-fields.ts'
import type { SignalKind } from '../stores/run-state.ts'

/** What happened to a step. */
export interface Entry {
  readonly kind: string
  readonly stepId: string
  readonly payload?: unknown
}

/** The log of one run, as the holder of its claim sees it. */
export interface Journal {
  /** What happened to a step last, and its number. */
  last(stepId: string): (Entry & { readonly seq: number }) | undefined
  /** Records what happened to a step, and where the run is then, in one commit. Returns its number. */
  write(entry: Entry, run?: RunFields): Promise<number>
  /** The signal that was pending at the last write. */
  pending(): SignalKind | undefined
}

/** Reads the log of a run. */
export async function openJournal(
  { persistence }: Holdfast,
  run: { readonly runId: string; readonly workflow: string },
  claim: Claim,
  signal: AbortSignal,
): Promise<Journal> {
  const entries = new Map<string, Entry & { readonly seq: number }>()
  let pending: SignalKind | undefined
  for await (const { kind, stepId, payload, seq } of persistence.events(run.runId, { limit: 1000, signal })) {
    if (stepId !== undefined) entries.set(stepId, { kind, stepId, payload, seq })
  }
  return {
    last: (stepId) => entries.get(stepId),
    async write(entry, fields) {
      const { kind, stepId, payload } = entry
      const attempt = kind === 'step.retried' ? (payload as { attempt: number }).attempt : ''
      // With a name of its own a write can be repeated: over a network its answer may be lost.
      const event = { ...run, ...entry, idempotencyKey: `${kind} ${stepId} ${attempt}` }
      const { seq, signal: found } = await persistence.append(event, { claim, run: fields })
      pending = found
      entries.set(stepId, { ...entry, seq })
      return seq
    },
    pending: () => pending,
  }
}
