/**
 * The messages of a run: a log for each name, and a cursor that tells how many of it were taken.
 *
 * Whoever takes a message moves the cursor in the same commit, under a check of what it was and of the message behind
 * it. So each is taken once and in order, and that there is none is as certain as what the commit changes because of it.
 *
 * @module
 */
import { type Along, type Cells, type NextContent, type Proposal, cells } from '../core/cells.ts'
import { decode } from '../core/codec.ts'
import type { InnerDatabase } from '../core/database.ts'
import type { Check, Entry, FailedCheck, EntryKey, Op } from '../core/driver.ts'
import { MESSAGES, TAKEN, type TenantParts, decodeNumber, encodeId, encodeNumber } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import type { WriteOptions } from '../core/options.ts'
import { completeStep, movedOn } from './advance.ts'
import type { RunRecord } from './state.ts'
import { type Position, isStepTerminal } from './status.ts'
import type { StepRecords } from './step-record.ts'

/** A message to a run. */
export interface Message {
  /** Its number among the run's messages of this name, from 1. */
  readonly seq: number
  readonly name: string
  /** Any structured value. */
  readonly payload?: unknown
  /** By the backend's clock, in milliseconds since 1970. */
  readonly sentAt: number
}

/** Where a run waits for a message. */
export type MessagePosition = Extract<Position, { readonly kind: 'message' }>

/** What a change has to check and write to take a message. */
interface Taking {
  /** `undefined` where there is none, which is checked then. */
  readonly message: Message | undefined
  readonly checks: readonly Check[]
  readonly along: readonly Along[]
}

/** What a change has to check and write to have a waiting run take a message, or wait on. */
interface Receipt {
  /** Whether the wait is over. */
  readonly isOver: boolean
  /** What has to be committed. */
  readonly proposal: {
    /** The run at the position it was at, or behind it. */
    readonly next: RunRecord
    readonly checks: readonly Check[]
    readonly along: readonly Along[]
    readonly ops: readonly Op[]
    readonly failed: Inbox['learn']
  }
}

/** The messages of a run, as one call sees them. */
export interface Inbox {
  /**
   * Inside of `propose`: takes the oldest message of a name.
   *
   * @param own - what the same commit appends, and is taken where it is the oldest
   */
  take(name: string, own?: Pick<Message, 'payload' | 'sentAt'>): Taking
  /** Inside of `propose`: looks at the oldest message of a name, and leaves it. */
  peek(name: string): Taking
  /**
   * Inside of `propose`: has a run that waits at this position take the oldest message; see {@link take}. At a step that
   * has ended the wait is over, and no message is taken.
   *
   * @param isTimeOver - whether the wait is over without a message, too
   */
  receive(
    run: RunRecord,
    position: MessagePosition,
    now: number,
    own?: Pick<Message, 'payload' | 'sentAt'>,
    isTimeOver?: boolean,
  ): Receipt
  /** As `failed` of the proposal: learns which message is the oldest, for the next attempt. */
  readonly learn: (failed: readonly FailedCheck[]) => undefined
  /** Takes the oldest message of a name, and changes nothing else. */
  consume(name: string, options: WriteOptions): Promise<Message | undefined>
}

const NOTHING: Taking = { message: undefined, checks: [], along: [] }

/** The prefix of the messages of a name. */
export const messagesOf = (name: string): string => `${MESSAGES}${encodeId(name, 'name')}!`

/** The key of the cursor of a name. */
export const cursorOf = (name: string): string => TAKEN + encodeId(name, 'name')

/** Reads a stored message back. */
export const toMessage = (entry: Entry, name: string): Message =>
  defined({
    seq: decodeNumber(entry.key),
    name,
    ...(decode(entry.value) as { readonly payload: unknown; readonly sentAt: number }),
  })

/** The inboxes of a tenant's runs; all stores over one database share what is remembered of the cursors. */
export function inboxes(db: InnerDatabase, parts: TenantParts, steps: StepRecords): (runId: string) => Inbox {
  const cursors: Cells<number> = db.shared(`message cursors of ${parts.runs}`, () =>
    cells(db, (entry) => Number(entry.value)),
  )

  return (runId) => {
    const part = parts.run(runId)
    const cursorAt = (name: string): EntryKey => ({ part, key: cursorOf(name) })
    /** What was last found to be the oldest. */
    let known: Entry | null = null

    function look(name: string, taken: number): { check: Check; message: Message | undefined } {
      const at = { part, key: messagesOf(name) + encodeNumber(taken + 1) }
      // Without a guess it must be absent; where it is not, the failed check brings it.
      const entry = known?.key === at.key ? known : null
      return { check: { at, version: entry && entry.version }, message: entry ? toMessage(entry, name) : undefined }
    }
    const cursorBehind = (taken: number): NextContent<number> => ({ value: String(taken + 1), holds: taken + 1 })

    function see(name: string, isTaken: boolean, own?: Pick<Message, 'payload' | 'sentAt'>): Taking {
      let message: Message | undefined
      const checks: Check[] = []
      const it = cursors.along(cursorAt(name), (taken = 0) => {
        const found = look(name, taken)
        checks.push(found.check)
        message = found.message ?? (own && { seq: taken + 1, name, ...own })
        return message && isTaken ? cursorBehind(taken) : undefined
      })
      return { message, checks, along: [it] }
    }

    const inbox: Inbox = {
      take: (name, own) => see(name, true, own),
      peek: (name) => see(name, false),
      receive(run, { name, stepId, next }, now, own, isTimeOver = false) {
        let hasEnded = false
        const seen = steps.along(runId, stepId, (step) => {
          hasEnded = isStepTerminal(step?.status)
          return undefined
        })
        const { message, checks, along } = hasEnded ? NOTHING : inbox.take(name, own)
        const isOver = hasEnded || message !== undefined || isTimeOver
        const step = isOver
          ? completeStep(steps, runId, stepId, now, message ? { result: message.payload } : { timedOut: true })
          : seen
        return {
          isOver,
          proposal: {
            next: isOver ? movedOn(run, next, now) : run,
            checks,
            along: [...along, step.along],
            ops: step.ops,
            failed: inbox.learn,
          },
        }
      },
      learn(failed) {
        known = failed.at(-1)!.current as Entry | null
      },
      consume: async (name, options) =>
        cursors.change(
          cursorAt(name),
          (taken = 0): Proposal<number, Message | undefined> => {
            const { check, message } = look(name, taken)
            return {
              next: message && cursorBehind(taken),
              checks: [check],
              done: () => message,
              failed: inbox.learn,
            }
          },
          options,
        ),
    }
    return inbox
  }
}
