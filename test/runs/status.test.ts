import { describe, expect, test } from 'vitest'
import { createHoldfast } from '../../src/holdfast.ts'
import { memory } from '../../src/drivers/memory.ts'
import {
  type Position,
  type RunStatus,
  isRunStatus,
  isTerminal,
  statusAt,
  stepsAt,
  wakeAtOf,
} from '../../src/runs/status.ts'

/** Every kind of position, as it is stored for good, and what follows from it. */
const POSITIONS: readonly [Position, RunStatus, readonly string[], number | undefined][] = [
  [{ kind: 'step', stepId: 'a' }, 'running', ['a'], undefined],
  [{ kind: 'fork', stepId: 'f', branches: ['a', 'b'], completed: ['a'] }, 'running', ['b'], undefined],
  [{ kind: 'fork', stepId: 'f', branches: ['a'], wakeAt: 5e12 }, 'waiting', [], 5e12],
  [{ kind: 'join', stepId: 'j', completed: ['a', 'b'] }, 'running', ['j'], undefined],
  [{ kind: 'delay', stepId: 'd', wakeAt: 5e12, next: 'a' }, 'waiting', [], 5e12],
  [{ kind: 'message', stepId: 'm', name: 'approved', wakeAt: 5e12, next: 'a' }, 'waiting', [], 5e12],
  [{ kind: 'message', stepId: 'm', name: 'approved' }, 'waiting', [], undefined],
  [{ kind: 'loop', stepId: 'l', iteration: 3, next: 'a' }, 'running', ['l'], undefined],
]

const STATUSES = ['pending', 'running', 'waiting', 'paused', 'completed', 'failed', 'cancelled', 'compensated'] as const
const COMPLETIONS: readonly RunStatus[] = STATUSES.slice(4)

// SY-68
describe('the states of a run', () => {
  test.each(POSITIONS)('position %j has one status, and what can be done there', (position, status, steps, wakeAt) => {
    expect([statusAt(position), wakeAtOf(position)]).toEqual([status, wakeAt])
    if (status === 'running') expect(stepsAt(position)).toEqual(steps)
  })

  test.each(POSITIONS)('position %j is stored as it is', async (position, status) => {
    const driver = memory()
    const { workflows } = createHoldfast({ driver })
    await workflows.createRun({ runId: 'r', workflow: 'w', position })
    expect(await createHoldfast({ driver }).workflows.getRun('r')).toMatchObject({ position, status })
  })

  test.each(STATUSES)('%s ends a run, or does not', async (status) => {
    expect([isRunStatus(status), isTerminal(status)]).toEqual([true, COMPLETIONS.includes(status)])
    const { workflows } = createHoldfast({ driver: memory() })
    await workflows.createRun({ runId: 'r', workflow: 'w', status: 'running' })
    await workflows.updateRun('r', { status })
    const change = workflows.patchContext('r', { a: 1 })
    if (isTerminal(status)) await expect(change).rejects.toMatchObject({ code: 'ALREADY_COMPLETED' })
    else expect((await change).context).toEqual({ a: 1 })
    expect((await workflows.getRun('r'))?.context).toEqual(isTerminal(status) ? {} : { a: 1 })
  })

  test('others are none', () => {
    for (const other of ['', 'Completed', 'success', 'toString', undefined, null, 1]) {
      expect([isRunStatus(other), isTerminal(other)]).toEqual([false, false])
    }
  })
})
