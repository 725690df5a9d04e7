/**
 * Messages: what is sent to a run from outside, kept in order under a name, and taken by the run once.
 *
 * @module
 */
import { type Known, requireGiven, requireOptions } from '../../core/arguments.ts'
import type { Committed } from '../../core/cells.ts'
import { decode, encode } from '../../core/codec.ts'
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
  /** Makes the call repeatable: under one key a run gets one message of a name. 1 to 256 UTF-8 bytes. */
  readonly idempotencyKey?: string | undefined
}

const SEND: Known<SendMessageOptions> = { ...WRITE, idempotencyKey: true }

/** What became of a message that was sent. */
export interface SendMessageResult {
  /** Its number among the run's messages of this name, from 1. */
  readonly seq: number
  /** The same was sent before under its idempotency key: nothing has changed, and `seq` is where it is. */
  readonly duplicate: boolean
}

/** Where a message goes, see {@link MessageStore.deliver}. */
export interface Delivery {
  /** The step whose result is the message's payload. A step that has ended stays as it is. */
  readonly stepId: string
  /**
   * Where the run is from then on; `null`: nowhere. Left out: where it was. A run is parked at a message by `park` only,
   * which looks for what was sent before.
   */
  readonly position?: Exclude<Position, MessagePosition> | null | undefined
  /** Follows from the position where that is given and this is not, but a paused run stays paused. */
  readonly status?: RunStatus | undefined
}

/**
 * The messages of one tenant's runs: for each run and name a queue, first in, first out.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` after
 * the close, before any I/O. A call that is refused has changed nothing.
 */
export interface MessageStore {
  /**
   * Sends a message to a run. A run that waits for one of this name takes the oldest in the same commit: its payload is
   * the result of the waiting step, and the run goes on at the next one, or is completed. Otherwise it is kept until it
   * is taken, also while the run is paused. A waiting step that has a result already keeps it, and the message is kept.
   *
   * @param runId - the run
   * @param name - the queue, 1 to 256 UTF-8 bytes
   * @param payload - any structured value
   * @param options - with the idempotency key
   * @returns its number; `duplicate` where it was sent before under its key, also where the run has ended meanwhile
   * @throws `NOT_FOUND`, `ALREADY_COMPLETED`, `CONFLICT` where the key was used with another payload; `SERIALIZATION`,
   *   `PAYLOAD_TOO_LARGE`, `CLAIM_LOST`
   */
  sendMessage(runId: string, name: string, payload: unknown, options?: SendMessageOptions): Promise<SendMessageResult>
  /**
   * Takes the oldest message that was not taken yet: of several callers, exactly one gets it. The run itself stays as it
   * is, so a process that dies here has lost the message: see {@link deliver}.
   *
   * @returns the message; `undefined` where there is none, or no such run
   * @throws `CLAIM_LOST`
   */
  consumeMessage(runId: string, name: string, options?: WriteOptions): Promise<Message | undefined>
  /**
   * Takes the oldest message and, in the same commit, makes its payload the result of a step and moves the run.
   *
   * @param runId - the run
   * @param name - the queue
   * @param to - the step, and where the run is from then on
   * @returns the message; `undefined` where there is none, and then nothing has changed
   * @throws `NOT_FOUND`, `ALREADY_COMPLETED`, `CLAIM_LOST`
   */
  deliver(runId: string, name: string, to: Delivery, options?: WriteOptions): Promise<Message | undefined>
  /**
   * Has a run wait for a message, or take the oldest at once where one was sent before. This is how a run comes to such
   * a position: a snapshot or an event that says so does not look for messages that are there, and the run waits until
   * the next is sent or its time is over. A step that has ended is not waited at, so the call can be repeated: each wait
   * is a step of its own.
   *
   * @param runId - the run
   * @param position - where it waits: the name, until when at the latest, and the next step
   * @returns `waiting`, or `delivered` where the step has a message, or has ended before, and the run went on. A paused run
   *   is `waiting`: it stays paused, and takes the message when it goes on
   * @throws `NOT_FOUND`, `ALREADY_COMPLETED`, `CLAIM_LOST`
   */
  park(runId: string, position: MessagePosition, options?: WriteOptions): Promise<'waiting' | 'delivered'>
  /** Lists the messages of a name, the oldest first, by page; empty for an unknown run. */
  listMessages(runId: string, name: string, options?: PageOptions): Promise<Page<StoredMessage>>
  /** The same, reading page by page; `limit` is the size of a page. */
  messages(runId: string, name: string, options?: PageOptions): AsyncIterable<StoredMessage>
}

/** A message that was sent, and whether it was taken. */
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
      // Once, before any I/O: the time is known later.
      const rest = String(encode({ payload })).slice(1)
      requireRoom(db, rest)
      const inbox = open(runId)

      /** Whether it was sent before rests on its key alone, whatever became of the run. */
      const failed: RunProposal<SendMessageResult>['failed'] = async (failures, _stale, held) => {
        const [failure] = failures
        if (ref === undefined || failure!.check > 0) return inbox.learn(failures)
        const seq = Number((failure!.current as Entry).value)
        const [sent] = await held.read([{ get: { part, key: log.key + encodeNumber(seq) } }], options)
        // Deleted with its run in between.
        if (!sent) return undefined
        const { value } = sent as { value: string }
        if (value.slice(value.indexOf(',') + 1) === rest) return { seq, duplicate: true }
        throw new HoldfastError('CONFLICT', 'Another message was sent under this idempotency key', { details: { seq } })
      }

      return runs.changeExisting(
        runId,
        (run): RunProposal<SendMessageResult> => {
          if (isTerminal(run.status)) {
            const refuse = (): never => {
              throw ended(run)
            }
            // A refused message may still be the repetition of one that was accepted: asks, and changes nothing.
            return ref === undefined ? refuse() : { checks: isNew, done: refuse, failed }
          }
          const sentAt = db.now()
          const append: Op = { append: log, value: `{"sentAt":${sentAt},${rest}`, ...(ref !== undefined && { ref }) }
          const done = ({ seqs: [seq] }: Committed): SendMessageResult => ({ seq: seq!, duplicate: false })
          const { status, position } = run
          if (status === 'waiting' && position?.kind === 'wait' && position.names?.includes(name)) {
            // It takes the message by itself.
            return { next: movedOn(run, position.next, sentAt), checks: isNew, ops: [append], done, failed }
          }
          if (status !== 'waiting' || position?.kind !== 'message' || position.name !== name) {
            return { checks: isNew, ops: [append], done, failed }
          }
          // A copy, which the caller cannot change while it is remembered.
          const own = { ...(decode(`{${rest}`) as { payload: unknown }), sentAt }
          const { proposal } = inbox.receive(run, position, sentAt, own)
          return {
            ...proposal,
            checks: [...isNew, ...proposal.checks],
            // The number of the message itself comes first, whatever the step appends.
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
        throw invalid('position must not be one that waits for a message: use park')
      }
      const fields = requireRunFields({ position, status })
      const inbox = open(runId)
      return runs.changeExisting(
        runId,
        (run): RunProposal<Message | undefined> => {
          if (isTerminal(run.status)) throw ended(run)
          const now = db.now()
          const { message, checks, along } = inbox.take(name)
          // A copy: what is remembered of the step must not change when what is given out does.
          const done = (): Message | undefined => message && { ...message, payload: decode(encode(message.payload)) }
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
      if (requireGiven(position, 'position').kind !== 'message') throw invalid('position.kind must be message')
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

/** What the record of a step holds besides its result, in bytes, and generously. */
const STEP_BYTES = 4096

/** A message must fit into the record of the step that waits for it, or the run could never go on. */
function requireRoom({ driver }: InnerDatabase, text: string): void {
  const most = driver.capabilities.limits.valueBytes - STEP_BYTES
  const size = utf8Bytes(text)
  if (size <= most) return
  throw new HoldfastError('PAYLOAD_TOO_LARGE', `A message must be at most ${most} bytes, not ${size}`, {
    details: { limit: 'valueBytes', most, size },
  })
}
