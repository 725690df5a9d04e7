/**
 * The messages of a run: one log per name, and a cursor that counts the messages taken from it.
 *
 * Taking a message moves the cursor in the same commit, which checks the cursor's old value and the next message. So
 * each message is taken once and in order. If there is none, the commit checks that too.
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
  /** Its position among the run's messages of this name, from 1. */
  readonly seq: number
  readonly name: string
  /** Any structured value. */
  readonly payload?: unknown
  /** When it was sent by the backend's clock, in milliseconds since 1970. */
  readonly sentAt: number
}

/** The position of a run that waits for a message. */
export type MessagePosition = Extract<Position, { readonly kind: 'message' }>

/** Taking a message, as parts of a commit. */
interface Taking {
  /** `undefined` if there is none; the commit then checks its absence. */
  readonly message: Message | undefined
  readonly checks: readonly Check[]
  readonly along: readonly Along[]
}

/** The next state of a run that waits for a message, as parts of a commit. */
interface Receipt {
  /** Whether the wait is over. */
  readonly isOver: boolean
  /** The commit. */
  readonly proposal: {
    /** The run at its old position, or at the next one. */
    readonly next: RunRecord
    readonly checks: readonly Check[]
    readonly along: readonly Along[]
    readonly ops: readonly Op[]
    readonly failed: Inbox['learn']
  }
}

/** The messages of a run, as seen by one call. */
export interface Inbox {
  /**
   * For use inside `propose`: takes the oldest message of a name.
   *
   * @param own - a message that the same commit appends; taken if it is the oldest
   */
  take(name: string, own?: Pick<Message, 'payload' | 'sentAt'>): Taking
  /** For use inside `propose`: reads the oldest message of a name without taking it. */
  peek(name: string): Taking
  /**
   * For use inside `propose`: a run that waits at this position takes the oldest message; see {@link take}. If the step
   * has ended already, the wait is over and no message is taken.
   *
   * @param isTimeOver - ends the wait even without a message
   */
  receive(
    run: RunRecord,
    position: MessagePosition,
    now: number,
    own?: Pick<Message, 'payload' | 'sentAt'>,
    isTimeOver?: boolean,
  ): Receipt
  /** The proposal's `failed`: learns the oldest message for the next attempt. */
  readonly learn: (failed: readonly FailedCheck[]) => undefined
  /** Takes the oldest message of a name and changes nothing else. */
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

/** The inboxes of a tenant's runs. All stores over one database share their cache of cursors. */
export function inboxes(db: InnerDatabase, parts: TenantParts, steps: StepRecords): (runId: string) => Inbox {
  const cursors: Cells<number> = db.shared(`message cursors of ${parts.runs}`, () =>
    cells(db, (entry) => Number(entry.value)),
  )

  return (runId) => {
    const part = parts.run(runId)
    const cursorAt = (name: string): EntryKey => ({ part, key: cursorOf(name) })
    /** The message last seen as the oldest. */
    let known: Entry | null = null

    function look(name: string, taken: number): { check: Check; message: Message | undefined } {
      const at = { part, key: messagesOf(name) + encodeNumber(taken + 1) }
      // Without a guess the check says absent. If there is a message, the failed check returns it.
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
