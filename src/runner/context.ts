/** Creates the context that is passed to a workflow. @module */
import { copyOf } from '../core/codec.ts'
import { requireOptions } from '../core/arguments.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { makeChild } from './children.ts'
import { toMilliseconds } from '../core/duration.ts'
import { keyOf } from './events.ts'
import { randomOf, requireName, uuidOf } from './ids.ts'
import { stepHere } from './inside-step.ts'
import { makeMessage } from './messages.ts'
import { type OutcomePromise, deferred } from './outcome-promise.ts'
import type { Execution } from './execution-state.ts'
import { CHILD, MESSAGE, STEP, requireDefinition } from './options.ts'
import { makeSleep } from './sleeps.ts'
import { makeStep } from './steps.ts'
import { waitAfter } from './retry.ts'
import type { Context, MessageOptions } from './types.ts'

/** Options of {@link createContext}. */
export interface ContextParts {
  readonly it: Execution
  readonly input: unknown
  hasEnded(): boolean
  /** The ids of the patches that the log recorded. */
  readonly patches: ReadonlySet<string>
  /** When the run was created, in milliseconds since 1970. */
  readonly startedAt: number
  /** Ends this life of the run, and begins the next. */
  continueAs(input: unknown): void
}

/** Creates the context of a workflow. */
export function createContext(parts: ContextParts): Context {
  const { it, input, hasEnded, patches, startedAt, continueAs } = parts
  const { runId, life, queue, journal } = it
  const passed = new Map<string, boolean>()
  let randoms = 0
  let uuids = 0

  /** @throws `INVALID_ARGUMENT` inside a step, and after the workflow has ended */
  function requirePlace(what: string): void {
    const inside = stepHere(it)
    if (inside !== undefined) {
      throw new HoldfastError(
        'INVALID_ARGUMENT',
        `ctx.${what} was called inside step ${JSON.stringify(inside)}. Call it before or after the step`,
        { details: { step: inside } },
      )
    }
    if (hasEnded())
      throw invalid(`ctx.${what} was called after the workflow had ended. Await every call in the workflow`)
  }

  /** Makes a call. An invalid call returns a promise that rejects, and does not throw. */
  function call<T>(what: string, make: () => OutcomePromise<T>): OutcomePromise<T> {
    try {
      requirePlace(what)
      return make()
    } catch (error) {
      const { promise, reject } = deferred<T>()
      reject(error)
      it.failures.set(promise, error)
      return promise
    }
  }

  const context = {
    runId,
    input,
    signal: it.signal,
    step: (name, work, options) =>
      call('step', () => {
        const { retry = it.retry, timeout, atMostOnce, compensate } = requireOptions(options, STEP)
        requireName(name, 'step')
        if (typeof work !== 'function') throw invalid(`fn must be the function of the step, not ${typeof work}`)
        if (compensate !== undefined && typeof compensate !== 'function')
          throw invalid(`compensate must be a function, not ${typeof compensate}`)
        // A malformed policy is refused before the step runs.
        waitAfter(retry, 1)
        const span = timeout === undefined ? undefined : toMilliseconds(timeout, 'timeout')
        const stepId = it.number('step', name)
        return makeStep(it, {
          stepId,
          work,
          retry,
          timeout: span,
          atMostOnce,
          onDone(result, seq) {
            if (compensate) it.undos.push({ stepId, seq, hook: (info) => compensate(result as never, info) })
          },
        }) as OutcomePromise<never>
      }),
    sleep: (duration) => call('sleep', () => makeSleep(it, toMilliseconds(duration, 'duration'))),
    message: (name: string, options?: MessageOptions) =>
      call('message', () => {
        const { timeout } = requireOptions(options, MESSAGE)
        const span = timeout === undefined ? undefined : toMilliseconds(timeout, 'timeout')
        return makeMessage(it, requireName(name, 'message'), span) as OutcomePromise<never>
      }),
    start: (workflow, options) =>
      call(
        'start',
        () => makeChild(it, requireDefinition(workflow), requireOptions(options, CHILD)) as OutcomePromise<never>,
      ),
    continueAsNew: (next) =>
      call('continueAsNew', () => {
        continueAs(copyOf(next))
        return deferred<never>().promise
      }),
    patch(id) {
      requireName(id, 'patch')
      requirePlace('patch')
      const known = passed.get(id)
      if (known !== undefined) return known
      const isRecorded = patches.has(id)
      const isNew = isRecorded || queue.past === 0
      passed.set(id, isNew)
      if (isNew) queue.add({ key: keyOf('patch', id), begin() {}, take() {} })
      if (isNew && !isRecorded) journal.defer({ kind: 'patch.passed', stepId: id })
      return isNew
    },
    now: () => queue.now ?? startedAt,
    random() {
      requirePlace('random')
      return randomOf(life, ++randoms)
    },
    uuid() {
      requirePlace('uuid')
      return uuidOf(life, ++uuids)
    },
  } satisfies Context
  return context
}
