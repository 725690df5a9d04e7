/**
 * Messages: sent to a run from outside, queued under a name, and taken by the run once, in order.
 *
 * @module
 */
import { type Known, requireGiven, requireOptions, shown } from '../../core/arguments.ts'
import type { Committed } from '../../core/cells.ts'
import { copyOf, decode, encode } from '../../core/codec.ts'
import type { InnerDatabase } from '../../core/database.ts'
import type { Check, Entry, Op } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { SENT, type TenantParts, decodeNumber, encodeId, encodeNumber, under, utf8Bytes } from '../../core/keys.ts'
import { WRITE, type WriteOptions } from '../../core/options.ts'
import { type Page, type PageOptions, eachItem, pageRange, toPage, PAGE } from '../../core/pages.ts'
import { completeStep, movedOn } from '../../runs/advance.ts'
import { type Inbox, type Message, type MessagePosition, cursorOf, messagesOf, toMessage } from '../../runs/inbox.ts'
import { requireRunFields, withFields } from '../../runs/fields.ts'
import { type RunProposal, type RunRecords, changed, ended } from '../../runs/record.ts'
import { type Position, type RunStatus, isTerminal, requirePosition } from '../../runs/status.ts'
import type { StepRecords } from '../../runs/step-record.ts'

/** Options of {@link MessageStore.sendMessage}. */
export interface SendMessageOptions extends WriteOptions {
  /** Makes the call repeatable: a run gets one message per name and key. 1 to 256 UTF-8 bytes. */
  readonly idempotencyKey?: string | undefined
}

const SEND: Known<SendMessageOptions> = { ...WRITE, idempotencyKey: true }

/** The result of sending a message. */
export interface SendMessageResult {
  /** Its position among the run's messages of this name, from 1. */
  readonly seq: number
  /** The same message was sent before under its idempotency key, at `seq`. Nothing has changed. */
  readonly duplicate: boolean
}

/** The step that takes a message, and the run's new state; see {@link MessageStore.deliver}. */
export interface Delivery {
  /** The step whose result is the message's payload. A step that has ended stays as it is. */
  readonly stepId: string
  /**
   * The new position of the run; `null` for nowhere. If left out, the run keeps its position. To wait for another
   * message, use `park`, which also checks the messages sent before.
   */
  readonly position?: Exclude<Position, MessagePosition> | null | undefined
  /** Follows from `position` if only that is given; a paused run stays paused. */
  readonly status?: RunStatus | undefined
}

/**
 * The messages of one tenant's runs: for each run and name a queue, first in, first out.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` once
 * the database is closed, before any I/O. A refused call changes nothing.
 */
export interface MessageStore {
  /**
   * Sends a message to a run. If the run waits for a message of this name, it takes the oldest one in the same commit:
   * the payload becomes the result of the waiting step, and the run goes on at its next step, or completes if there is
   * none. Otherwise the message is kept until the run takes it, even while the run is paused. If the waiting step
   * already has a result, it keeps that result, and the message is kept too.
   *
   * @param runId - the run
   * @param name - the queue, 1 to 256 UTF-8 bytes
   * @param payload - any structured value
   * @param options - `idempotencyKey` makes the call safe to repeat
   * @returns its seq; `duplicate` is true if it was sent before under its key, even if the run has ended since
   * @throws `NOT_FOUND` if the run does not exist; `ALREADY_COMPLETED` if it has ended; `CONFLICT` if the key was used
   *   with another payload; `SERIALIZATION`, `PAYLOAD_TOO_LARGE` if the payload cannot be stored; `CLAIM_LOST`
   */
  sendMessage(runId: string, name: string, payload: unknown, options?: SendMessageOptions): Promise<SendMessageResult>
  /**
   * Takes the oldest message not taken yet. If several callers ask at once, exactly one gets it. The run itself does
   * not change, so if the process dies before it uses the message, the message is lost; {@link deliver} avoids that.
   *
   * @param runId - the run
   * @param name - the queue
   * @returns the message; `undefined` if there is none, or no such run
   * @throws `CLAIM_LOST`
   */
  consumeMessage(runId: string, name: string, options?: WriteOptions): Promise<Message | undefined>
  /**
   * Takes the oldest message. In the same commit, its payload becomes the result of a step, and the run moves on.
   *
   * @param runId - the run
   * @param name - the queue
   * @param to - the step, and the new state of the run
   * @returns the message; `undefined` if there is none, and then nothing has changed
   * @throws `NOT_FOUND` if the run does not exist, `ALREADY_COMPLETED` if it has ended, `CLAIM_LOST`
   */
  deliver(runId: string, name: string, to: Delivery, options?: WriteOptions): Promise<Message | undefined>
  /**
   * Makes a run wait for a message, or take the oldest one at once if it was sent before. Always use `park` to enter
   * such a position: a snapshot or an event with this position does not look for earlier messages, so the run would
   * wait for the next one. A step that has ended is not waited for again, so the call can be repeated; use a new step
   * for each wait.
   *
   * @param runId - the run
   * @param position - the name, the latest time to wait until, and the next step
   * @returns `waiting`; or `delivered` if the run took a message or the step had ended before, and the run went on. A
   *   paused run is `waiting`: it stays paused, and takes the message when it is unpaused
   * @throws `NOT_FOUND` if the run does not exist, `ALREADY_COMPLETED` if it has ended, `CLAIM_LOST`
   */
  park(runId: string, position: MessagePosition, options?: WriteOptions): Promise<'waiting' | 'delivered'>
  /** Lists the messages of a name by page, the oldest first. Empty for an unknown run. */
  listMessages(runId: string, name: string, options?: PageOptions): Promise<Page<StoredMessage>>
  /** Iterates over the same messages as `listMessages`, page by page; `limit` is the page size. */
  messages(runId: string, name: string, options?: PageOptions): AsyncIterable<StoredMessage>
}

/** A stored message, and whether it was taken. */
export interface StoredMessage extends Message {
  readonly consumed: boolean
}

/** The part of a signal store that handles messages. */
export function messageStore(
  db: InnerDatabase,
  parts: TenantParts,
  runs: RunRecords,
  steps: StepRecords,
  open: (runId: string) => Inbox,
): MessageStore {
  const store: MessageStore = {
    async sendMessage(runId, name, payload, given) {
      const options = requireOptions(given, SEND)
      const { idempotencyKey: key } = options
      const part = parts.run(runId)
      const log = { part, key: messagesOf(name) }
      const ref = key === undefined ? undefined : `${SENT}${encodeId(name, 'name')}!${encodeId(key, 'idempotencyKey')}`
      const isNew: Check[] = ref === undefined ? [] : [{ at: { part, key: ref }, version: null }]
      // Encoded once, before any I/O; the time is added with each attempt.
      const rest = String(encode({ payload })).slice(1)
      requireRoom(db, rest)
      const inbox = open(runId)

      /** The idempotency key alone decides whether the message was sent before, even if the run has ended since. */
      const failed: RunProposal<SendMessageResult>['failed'] = async (failures, _stale, held) => {
        const [failure] = failures
        if (ref === undefined || failure!.check > 0) return inbox.learn(failures)
        const seq = Number((failure!.current as Entry).value)
        const [sent] = await held.read([{ get: { part, key: log.key + encodeNumber(seq) } }], options)
        // The run was deleted meanwhile.
        if (!sent) return undefined
        const { value } = sent as { value: string }
        if (value.slice(value.indexOf(',') + 1) === rest) return { seq, duplicate: true }
        throw new HoldfastError('CONFLICT', 'Another message was sent under this idempotencyKey', { details: { seq } })
      }

      return runs.changeExisting(
        runId,
        (run): RunProposal<SendMessageResult> => {
          if (isTerminal(run.status)) {
            const refuse = (): never => {
              throw ended(run)
            }
            // The message may repeat one that was accepted before the end. The commit checks that, and changes nothing.
            return ref === undefined ? refuse() : { checks: isNew, done: refuse, failed }
          }
          const sentAt = db.now()
          const append: Op = { append: log, value: `{"sentAt":${sentAt},${rest}`, ...(ref !== undefined && { ref }) }
          const done = ({ seqs: [seq] }: Committed): SendMessageResult => ({ seq: seq!, duplicate: false })
          const { status, position } = run
          if (status === 'waiting' && position?.kind === 'wait' && position.names?.includes(name)) {
            // The workflow code takes the message itself.
            return { next: movedOn(run, position.next, sentAt), checks: isNew, ops: [append], done, failed }
          }
          if (status !== 'waiting' || position?.kind !== 'message' || position.name !== name) {
            return { checks: isNew, ops: [append], done, failed }
          }
          // A copy, so that the caller cannot change the cached value.
          const own = { ...(decode(`{${rest}`) as { payload: unknown }), sentAt }
          const { proposal } = inbox.receive(run, position, sentAt, own)
          return {
            ...proposal,
            checks: [...isNew, ...proposal.checks],
            // The message is appended first, so its seq is the first of the commit.
            ops: [append, ...proposal.ops],
            done,
            failed,
          }
        },
        options,
      )
    },
    async consumeMessage(runId, name, given) {
      const options = requireOptions(given, WRITE)
      encodeId(name, 'name')
      return open(runId).consume(name, options)
    },
    async deliver(runId, name, to, given) {
      const options = requireOptions(given, WRITE)
      const { stepId, position, status } = requireGiven(to, 'to')
      encodeId(name, 'name')
      encodeId(stepId, 'stepId')
      if ((position as Position | null | undefined)?.kind === 'message') {
        throw invalid('position must not wait for a message; call park instead')
      }
      const fields = requireRunFields({ position, status })
      const inbox = open(runId)
      return runs.changeExisting(
        runId,
        (run): RunProposal<Message | undefined> => {
          if (isTerminal(run.status)) throw ended(run)
          const now = db.now()
          const { message, checks, along } = inbox.take(name)
          // A copy: the cached step must not change when the caller's object does.
          const done = (): Message | undefined => message && { ...message, payload: copyOf(message.payload) }
          if (!message) return { checks, along, done, failed: inbox.learn }
          const step = completeStep(steps, runId, stepId, now, { result: message.payload })
          return {
            next: withFields(run, fields, now),
            checks,
            along: [...along, step.along],
            ops: step.ops,
            done,
            failed: inbox.learn,
          }
        },
        options,
      )
    },
    async park(runId, position, given) {
      const options = requireOptions(given, WRITE)
      if (requireGiven(position, 'position').kind !== 'message')
        throw invalid(`position.kind must be message, not ${shown(position.kind)}`)
      requirePosition(position)
      const inbox = open(runId)
      return runs.changeExisting(
        runId,
        (run): RunProposal<'waiting' | 'delivered'> => {
          const { status } = run
          if (isTerminal(status)) throw ended(run)
          const now = db.now()
          const isPaused = status === 'paused'
          const parked = changed(run, { position, status: isPaused ? status : 'waiting' }, now)
          if (isPaused) return { next: parked, done: () => 'waiting' }
          const { isOver, proposal } = inbox.receive(parked, position, now)
          return { ...proposal, done: () => (isOver ? 'delivered' : 'waiting') }
        },
        options,
      )
    },
    async listMessages(runId, name, given) {
      const options = requireOptions(given, PAGE)
      const part = parts.run(runId)
      const range = pageRange(db, part, under(messagesOf(name)), options)
      const [cursor, { entries, more }] = await db.read([{ get: { part, key: cursorOf(name) } }, { range }], options)
      const taken = Number(cursor?.value ?? 0)
      return toPage(entries, more, (entry) => ({
        ...toMessage(entry, name),
        consumed: decodeNumber(entry.key) <= taken,
      }))
    },
    messages: (runId, name, options) => eachItem(options, PAGE, (page) => store.listMessages(runId, name, page)),
  }
  return store
}

/** Room for the other fields of a step's record, in bytes; more than they need. */
const STEP_BYTES = 4096

/** A message must fit into the record of the step that takes it, or the run could never go on. */
function requireRoom({ driver }: InnerDatabase, text: string): void {
  const most = driver.capabilities.limits.valueBytes - STEP_BYTES
  const size = utf8Bytes(text)
  if (size <= most) return
  throw new HoldfastError('PAYLOAD_TOO_LARGE', `The payload must be at most ${most} bytes, not ${size}`, {
    details: { limit: 'valueBytes', most, size },
  })
}
