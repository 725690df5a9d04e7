/** Sleeps of a workflow. @module */
import { keyOf } from './events.ts'
import { type OutcomePromise, deferred } from './outcome-promise.ts'
import type { Execution } from './execution-state.ts'

/** Adds a sleep of `span` milliseconds. */
export function makeSleep(it: Execution, span: number): OutcomePromise<void> {
  const { journal, queue } = it
  const stepId = it.number('sleep', 'sleep')
  const { promise, resolve } = deferred<void>()
  let wakeAt: number | undefined

  async function finish(): Promise<void> {
    if (it.mayBegin() && !it.isOver) await journal.record(() => ({ events: [{ kind: 'sleep.completed', stepId }] }))
  }
  async function wait(): Promise<void> {
    if (it.isOver) return
    if (it.decided(stepId)) return finish()
    if (wakeAt === undefined) {
      const [event] = await journal.record((_, now) => ({
        events: [{ kind: 'sleep.started', stepId, payload: now + span }],
      }))
      wakeAt = event!.payload as number
    }
    it.arm({ label: stepId, wakeAt, fire: () => it.guard(finish) })
  }

  queue.add({
    key: keyOf('sleep', stepId),
    begin: () => it.guard(wait),
    take({ kind, payload }) {
      if (kind === 'sleep.started') wakeAt = payload as number
      else if (!it.isOver) resolve()
    },
  })
  return promise
}
