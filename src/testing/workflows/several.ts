/** Runs that wait for the first of several events, and runs that are claimed for execution. @module */
import { equal, ok } from '../assert.ts'
import { type Case, defineCase } from '../case.ts'
import { RUN, type Stores, WORKFLOW, stores } from '../stores.ts'

/** A run that waits for a message of two names and for the end of another run, until a distant time. */
const waitingRun = async (s: Stores, more: { readonly wakeAt?: number } = {}): Promise<void> => {
  const position = { kind: 'wait', stepId: 'rest', names: ['a', 'b'], runs: ['child'], next: 'work', ...more } as const
  await s.workflows.createRun({ runId: RUN, workflow: WORKFLOW, position, status: 'waiting' })
}

const standing = async (s: Stores): Promise<unknown> => {
  const run = await s.workflows.getRun(RUN)
  return [run?.status, run?.position?.stepId]
}

export const byMessage: Case = defineCase(
  'WF-821',
  'a message of any of its names wakes a run that waits for several events, and is kept',
  async (t) => {
    const s = stores(t)
    await s.db.health()
    await waitingRun(s)
    await s.signals.sendMessage(RUN, 'other', 0)
    equal(await standing(stores(t)), ['waiting', 'rest'])
    equal(await s.claims.findAvailableTasks({ workerId: 'w' }), [])
    await stores(t).signals.sendMessage(RUN, 'b', 1)
    equal(await standing(s), ['running', 'work'])
    await t.sleep(10)
    equal(
      (await s.signals.listMessages(RUN, 'b')).items.map(({ payload, consumed }) => [payload, consumed]),
      [[1, false]],
    )
    equal(
      (await s.claims.findAvailableTasks({ workerId: 'w' })).map(({ stepId }) => stepId),
      ['work'],
    )
  },
)

export const byTime: Case = defineCase('WF-822', 'its time wakes a run that waits for several events', async (t) => {
  const s = stores(t)
  await s.db.health()
  const wakeAt = s.db.now() + 500
  await waitingRun(s, { wakeAt })
  equal([await s.timers.nextDue(), await s.timers.advanceDue()], [wakeAt, []])
  await t.sleep(600)
  equal(await stores(t).timers.advanceDue(), [{ runId: RUN, kind: 'wait', stepId: 'rest' }])
  equal(await standing(s), ['running', 'work'])
})

export const byEnd: Case = defineCase('WF-823', 'the end of another run wakes the run that waits for it', async (t) => {
  for (const end of ['completed', 'cancelled', 'deleted']) {
    const s = stores(t)
    await s.workflows.deleteRun(RUN)
    await s.workflows.deleteRun('child')
    await waitingRun(s)
    const parent = { runId: RUN, life: 'a life' }
    await s.workflows.createRun({ runId: 'child', workflow: WORKFLOW, parent })
    await s.workflows.createRun({ runId: 'stranger', workflow: WORKFLOW, parent })
    await s.log.complete('stranger', 'completed')
    await s.workflows.deleteRun('stranger')
    equal(await standing(s), ['waiting', 'rest'], 'It does not wait for that one')
    const other = stores(t)
    if (end === 'completed') await other.log.complete('child', 'completed')
    else if (end === 'deleted') await other.workflows.deleteRun('child')
    else {
      await other.signals.storeSignal('child', 'cancel')
      await other.signals.checkAndCancel('child')
    }
    equal(await standing(s), ['running', 'work'], end)
  }
})

export const paused: Case = defineCase(
  'WF-824',
  'a paused run that waits for several events checks for them when it is unpaused',
  async (t) => {
    const s = stores(t)
    await waitingRun(s)
    await s.signals.storeSignal(RUN, 'pause')
    ok(await s.signals.checkAndPause(RUN), 'It is paused')
    await s.signals.sendMessage(RUN, 'a', 1)
    equal(await standing(s), ['paused', 'rest'])
    equal(await stores(t).signals.unpause(RUN), 'running')
    equal(await standing(s), ['running', 'work'])
  },
)

export const delivered: Case = defineCase('WF-825', 'a run claimed for execution is running', async (t) => {
  for (const status of ['pending', 'waiting'] as const) {
    const s = stores(t)
    await s.workflows.deleteRun(RUN)
    if (status === 'waiting') await waitingRun(s)
    else await s.workflows.createRun({ runId: RUN, workflow: WORKFLOW, position: { kind: 'step', stepId: 'work' } })
    const claim = await stores(t).claims.claimTask({ runId: RUN, workerId: 'w', ttl: 60_000, deliver: true })
    equal(await standing(s), ['running', 'work'], status)
    equal(await s.claims.claimTask({ runId: RUN, workerId: 'w', ttl: 60_000, deliver: true }), undefined)
    await s.claims.releaseTaskClaim(claim!)
  }
})

export const takenBack: Case = defineCase(
  'WF-826',
  'a restarted worker takes its claims over, and fences off its former self',
  async (t) => {
    const s = stores(t)
    await s.db.health()
    await s.workflows.createRun({ runId: RUN, workflow: WORKFLOW, position: { kind: 'step', stepId: 'work' } })
    await t.sleep(10)
    const former = (await s.claims.claimTask({ runId: RUN, workerId: 'me', ttl: 60_000 }))!
    const takeBackBefore = former.claimedAt + 1
    const fresh = stores(t)
    const find = async (workerId: string, before: number): Promise<number> =>
      (await fresh.claims.findAvailableTasks({ workerId, takeBackBefore: before })).length
    equal(
      [await find('other', takeBackBefore), await find('me', former.claimedAt), await find('me', takeBackBefore)],
      [0, 0, 1],
    )
    equal(await fresh.claims.claimTask({ runId: RUN, workerId: 'other', takeBackBefore }), undefined)
    equal(await fresh.claims.claimTask({ runId: RUN, workerId: 'me', takeBackBefore: former.claimedAt }), undefined)
    const claim = (await fresh.claims.claimTask({ runId: RUN, workerId: 'me', ttl: 60_000, takeBackBefore }))!
    ok(claim.token > former.token, 'Its token is larger')
    let code: unknown
    await s.workflows
      .updateRun(RUN, { priority: 1 }, { claim: former })
      .catch((error: { code: unknown }) => (code = error.code))
    equal(code, 'CLAIM_LOST')
    await fresh.workflows.updateRun(RUN, { priority: 1 }, { claim })
  },
)

export const chosen: Case = defineCase(
  'WF-827',
  'a worker is offered the versions that it has, and none of the runs that it excludes',
  async (t) => {
    const s = stores(t)
    await s.db.health()
    const position = { kind: 'step', stepId: 'work' } as const
    for (const [runId, definitionVersion] of [
      ['one', '1'],
      ['two', '2'],
      ['none', undefined],
    ] as const) {
      await s.workflows.createRun({ runId, workflow: WORKFLOW, definitionVersion, position, status: 'running' })
    }
    await t.sleep(10)
    const offered = async (more: object): Promise<string[]> =>
      (await stores(t).claims.findAvailableTasks({ workerId: 'w', ...more })).map(({ runId }) => runId).sort()
    equal(await offered({ workflows: [WORKFLOW] }), ['none', 'one', 'two'])
    equal(await offered({ workflows: [{ name: WORKFLOW, version: '2' }] }), ['none', 'two'])
    equal(await offered({ workflows: [{ name: WORKFLOW }] }), ['none', 'one', 'two'])
    equal(await offered({ workflows: [{ name: 'another', version: '2' }] }), [])
    equal(await offered({ except: (runId: string) => runId !== 'one' }), ['one'])
  },
)
