/** Waits for messages to the run. @module */
import { keyOf } from './events.ts'
import type { Draft } from './journal.ts'
import { type OutcomePromise, deferred } from './outcome-promise.ts'
import type { Execution } from './execution-state.ts'

/** Adds a wait for a message. */
export function makeMessage(it: Execution, name: string, span: number | undefined): OutcomePromise<unknown> {
  const { journal, queue, inbox } = it
  const stepId = it.number('message', name)
  const label = `message ${stepId}`
  const { promise, resolve } = deferred<unknown>()
  let isAwaited = false
  let wakeAt: number | undefined

  /** Takes the oldest message, or ends the wait if its time is over. One commit decides which. */
  async function look(): Promise<void> {
    if (it.isOver || !it.mayBegin()) return
    const decided = it.decided(label)
    const recorded = await journal.record((_, now) => {
      if (decided) return { events: [{ kind: 'message.received', stepId, payload: decided.value }] }
      const { message, checks, along } = inbox.take(name)
      const end = wakeAt ?? (span === undefined || isAwaited ? undefined : now + span)
      const event: Draft | undefined = message
        ? { kind: 'message.received', stepId, payload: message.payload }
        : end !== undefined && now >= end
          ? { kind: 'message.timedOut', stepId }
          : isAwaited
            ? undefined
            : { kind: 'message.awaited', stepId, payload: end }
      return { events: event ? [event] : [], checks, along, learn: inbox.learn }
    })
    const event = recorded.at(-1)
    if (event && event.kind !== 'message.awaited') return
    if (event) wakeAt = event.payload as number | undefined
    isAwaited = true
    it.arm({ label, name, wakeAt, fire: () => it.guard(look) })
  }

  queue.add({
    key: keyOf('message', stepId),
    begin: () => it.guard(look),
    take({ kind, payload }) {
      if (kind === 'message.awaited') {
        isAwaited = true
        wakeAt = payload as number | undefined
      } else if (!it.isOver) resolve(payload)
    },
  })
  return promise
}
