/** Ends a delivery: one commit changes the run and releases the claim. @module */
import type { Along } from '../core/cells.ts'
import { encode } from '../core/codec.ts'
import type { Check, Op } from '../core/driver.ts'
import { CONTEXT, EVENTS, IDEMPOTENCY, INPUT, ORDER, STEPS, type TenantParts, under } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { stopped } from '../runs/advance.ts'
import type { Inbox } from '../runs/inbox.ts'
import { pendingSignal } from '../runs/indexes.ts'
import { changed } from '../runs/record.ts'
import type { RunRecord } from '../runs/state.ts'
import { type Completion, type Position, WORK } from '../runs/status.ts'
import type { StoredError } from './errors.ts'
import type { Journal } from './journal.ts'
import type { Wait } from './waits.ts'

/** Thrown if a request to cancel was stored before the run completed. */
class CancelFirst extends Error {}

/**
 * Ends the run.
 *
 * @returns the payload as it was stored; `undefined` if a request to cancel came first, and nothing has changed
 * @throws `SERIALIZATION` or `PAYLOAD_TOO_LARGE` if the result cannot be stored
 */
export async function complete(
  journal: Journal,
  status: Completion,
  payload: unknown,
  { error, cancelled = false }: { readonly error?: StoredError; readonly cancelled?: boolean } = {},
): Promise<{ readonly payload: unknown } | undefined> {
  try {
    const recorded = await journal.record((run) => {
      if (status === 'completed' && pendingSignal(run).signal === 'cancel') throw new CancelFirst()
      const request = cancelled ? run.signals?.cancel : undefined
      return {
        events: [{ kind: `run.${status}`, payload }],
        run: (it, now) => ({
          ...changed(
            it,
            { status, error: error?.message, deliveries: undefined, signals: cancelled ? undefined : it.signals },
            now,
          ),
          // The run keeps who asked, and why.
          ...(request && { stopped: { ...request, from: it.status } }),
        }),
        release: true,
      }
    })
    return { payload: recorded.at(-1)!.payload }
  } catch (refusal) {
    if (refusal instanceof CancelFirst) return undefined
    throw refusal
  }
}

/**
 * Cancels or pauses the run, if that is still requested.
 *
 * @param release - also releases the claim
 * @returns whether the request was still there
 */
export async function applySignal(journal: Journal, kind: 'cancel' | 'pause', release = false): Promise<boolean> {
  let isApplied = false
  await journal.record((run, now) => {
    const next = stopped(run, kind, undefined, now)
    isApplied = next !== undefined
    return { run: () => withoutDeliveries(next ?? run), release }
  })
  return isApplied
}

/**
 * Parks the run until the first of its waits is over, and releases the claim.
 *
 * @param until - when the first wait for a time is over, in milliseconds since 1970
 * @param looked - checks that the other runs it waits for are unchanged
 * @returns `false` if one of the waits is already over; then nothing has changed
 */
export async function park(
  journal: Journal,
  inbox: Inbox,
  waits: readonly Wait[],
  until: number | undefined,
  looked: readonly Check[],
): Promise<boolean> {
  const names = [...new Set(waits.flatMap(({ name }) => name ?? []))]
  const runs = [...new Set(waits.flatMap(({ runId }) => runId ?? []))]
  const first = waits.find(({ wakeAt }) => wakeAt !== undefined && wakeAt === until) ?? waits[0]
  const position: Position = defined({
    kind: 'wait' as const,
    stepId: first?.label ?? 'wait',
    wakeAt: until,
    names: names.length > 0 ? names : undefined,
    runs: runs.length > 0 ? runs : undefined,
    next: WORK.stepId,
  })
  let isParked = false
  let isStale = false
  await journal.record(() => {
    isParked = false
    if (isStale) return {}
    const checks: Check[] = [...looked]
    const along: Along[] = []
    for (const name of names) {
      const found = inbox.peek(name)
      if (found.message) {
        return { checks: found.checks, along: found.along, learn: inbox.learn }
      }
      checks.push(...found.checks)
      along.push(...found.along)
    }
    isParked = true
    return {
      checks,
      along,
      learn(failed) {
        isStale = failed.some(({ check }) => check < looked.length)
        const messages = failed.filter(({ check }) => check >= looked.length)
        if (messages.length > 0) inbox.learn(messages)
      },
      run: (run, now) => changed(run, { position, status: 'waiting', deliveries: undefined }, now),
      release: true,
    }
  })
  return isParked
}

/** Releases the claim. Any worker can take the run. */
export async function release(journal: Journal): Promise<void> {
  await journal.record(() => ({ run: withoutDeliveries, release: true }))
}

/** Puts the run aside: it is paused, with the reason, until it is resumed. */
export async function putAside(journal: Journal, aside: NonNullable<RunRecord['aside']>): Promise<void> {
  await journal.record((run) => ({
    run: (it, now) =>
      changed(
        it,
        {
          status: 'paused',
          deliveries: undefined,
          aside,
          stopped: { reason: aside.reason, requestedBy: 'holdfast', requestedAt: now, from: run.status },
        },
        now,
      ),
    release: true,
  }))
}

/** Continues a run that was put aside. */
export async function takeUp(journal: Journal): Promise<void> {
  await journal.record(() => ({
    run: (run, now) => changed(run, { status: 'running', position: WORK }, now),
  }))
}

/** Begins the next life of the run, with a new input and an empty log whose seqs continue. The claim is kept. */
export async function continueAsNew(
  journal: Journal,
  parts: TenantParts,
  runId: string,
  life: string,
  input: unknown,
): Promise<void> {
  const part = parts.run(runId)
  const ranges: Op[] = [STEPS, ORDER, IDEMPOTENCY].map((prefix) => ({ deleteRange: { part, ...under(prefix) } }))
  const given: Op =
    input === undefined ? { delete: { part, key: INPUT } } : { put: { part, key: INPUT }, value: encode(input) }
  await journal.record((run, now) => ({
    ops: [
      { trim: { part, key: EVENTS }, through: Number.MAX_SAFE_INTEGER },
      ...ranges,
      { delete: { part, key: CONTEXT } },
      given,
    ],
    run: (it) =>
      changed(
        it,
        {
          life,
          generation: (run.generation ?? 1) + 1,
          status: 'running',
          position: WORK,
          deliveries: 1,
          failure: undefined,
          retries: undefined,
        },
        now,
      ),
  }))
}

const withoutDeliveries = (run: RunRecord): RunRecord => {
  const { deliveries: _, ...rest } = run
  return rest
}
