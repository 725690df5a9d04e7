/** Starts other runs from a workflow, and waits for their results. @module */
import { isHoldfastError } from '../core/errors.ts'
import { checked } from './define.ts'
import { type StoredError, RunError, StepError, fromLog, toStored } from './errors.ts'
import { keyOf } from './events.ts'
import { childIdOf, requireName } from './ids.ts'
import { type OutcomePromise, deferred } from './outcome-promise.ts'
import type { EndOfRun } from './outcomes.ts'
import type { Execution } from './execution-state.ts'
import type { AnyWorkflow, Child, ChildOptions } from './types.ts'

/** Errors of a start that another attempt would repeat. They are recorded, and the workflow may handle them. */
const REFUSALS = [
  'INVALID_ARGUMENT',
  'SERIALIZATION',
  'PAYLOAD_TOO_LARGE',
  'ALREADY_EXISTS',
  'WORKFLOW_MISMATCH',
  'DEFINITION_MISMATCH',
] as const

/** Starts another run, once. */
export function makeChild<I>(
  it: Execution,
  workflow: AnyWorkflow,
  options: ChildOptions<I>,
): OutcomePromise<Child<unknown>> {
  const { queue, journal, others, runId, life } = it
  const { detached = false, runId: given, ...rest } = options
  const stepId = it.number('child', requireName(workflow.name, 'workflow'))
  const childId = given ?? childIdOf(runId, life, stepId)
  const { promise, resolve, reject } = deferred<Child<unknown>>()

  async function begin(): Promise<void> {
    if (!it.mayBegin() || (it.isOver && promise.isHandled)) return
    let failure: StoredError | undefined
    try {
      const input = await checked(workflow.input, rest.input, 'input')
      // After a crash the call is repeated, and finds the run that it has started.
      await others.start(workflow, { ...rest, runId: childId, input }, !it.started.has(childId))
    } catch (error) {
      if (!REFUSALS.some((code) => isHoldfastError(error, code))) throw error
      failure = toStored(error)
    }
    await journal.record(() => ({
      events: [
        failure
          ? { kind: 'child.failed', stepId, payload: { error: failure } }
          : { kind: 'child.started', stepId, payload: childId },
      ],
    }))
  }

  it.unfinished.add(promise)
  queue.add({
    key: keyOf('child', stepId),
    begin: () => it.guard(begin),
    take({ kind, payload }) {
      it.unfinished.delete(promise)
      if (kind === 'child.failed') {
        const error = new StepError(stepId, fromLog(payload))
        it.failures.set(promise, error)
        if (!it.isOver) reject(error)
        return
      }
      const id = payload as string
      it.started.add(id)
      if (!detached) it.children.push(id)
      if (!it.isOver) resolve({ runId: id, result: () => makeResult(it, stepId, id) })
    },
  })
  return promise
}

/** Waits for the end of another run. */
function makeResult(it: Execution, childStep: string, childId: string): OutcomePromise<unknown> {
  const { queue, journal, others } = it
  const stepId = it.number('result', childStep)
  const { promise, resolve, reject } = deferred<unknown>()
  let isAwaited = false

  async function look(): Promise<void> {
    if (it.isOver || !it.mayBegin()) return
    const end = await others.readEnd(childId)
    if (end) {
      await journal.record(() => ({ events: [{ kind: 'result.received', stepId, payload: end }] }))
      return
    }
    if (!isAwaited) {
      isAwaited = true
      await journal.record(() => ({ events: [{ kind: 'result.awaited', stepId, payload: childId }] }))
    }
    it.arm({ label: `run ${childId}`, runId: childId, fire: () => it.guard(look) })
  }

  queue.add({
    key: keyOf('result', stepId),
    begin: () => it.guard(look),
    take({ kind, payload }) {
      if (kind === 'result.awaited') {
        isAwaited = true
        return
      }
      if (it.isOver) return
      const end = payload as EndOfRun
      if (end.status === 'completed') resolve(end.result)
      else reject(new RunError(childId, end.status, end.error))
    },
  })
  return promise
}
